"""`Budget`: what data may become in memory, checked before the memory is taken.

A file says little about what it holds: 20 kB of a compressed archive are 300 million zeros. So
every reader says how many numbers a file will become before it makes them.
"""

from tfgen.data.readers import Unreadable
from tfgen.recipe import DataConfig

BYTES_PER_NUMBER = 8
MOST_NUMBERS = DataConfig.max_numbers


class Budget:
    """Counts the numbers that the files of one data set become.

    Args:
        most: The most numbers in all, as `data.max_numbers` says.
    """

    def __init__(self, most=MOST_NUMBERS):
        self.most, self.taken = most, 0

    def check(self, path, numbers):
        """Refuses a file (or a part of one) that would become more numbers than are left.

        Raises:
            Unreadable: With the reason `"too large"`, and in one line what to set.
        """
        if self.taken + numbers > self.most:
            beside = f" beside the {self.taken:,} taken already" if self.taken else ""
            raise Unreadable(
                "too large",
                f"{path} would become {numbers:,} numbers in memory{beside}, of "
                f"{BYTES_PER_NUMBER} bytes each; a larger data.max_numbers allows it. "
                f"Received: data.max_numbers={self.most}",
            )

    def take(self, path, numbers):
        """As `check`, and counts the numbers as taken."""
        self.check(path, numbers)
        self.taken += numbers
