"""`show_piece`: a sample of events of music, as TensorBoard shows it."""

from tfgen.data.music.events import to_piece
from tfgen.report.music import heard, roll_figure
from tfgen.training.dashboard import picture
from tfgen.training.series_dashboard import sound


def show_piece(tag, text):
    """Writes the piano roll of a text of events, and its sound."""
    piece = to_piece(text)
    picture(f"{tag}/roll", roll_figure([piece], quick=True))
    sound(f"{tag}/sound", *heard([piece]))
