"""MIDI files by hand, byte by byte, for the tests."""

import struct

END = (0, b"\xff\x2f\x00")


def on(pitch, velocity=64, channel=0):
    return bytes([0x90 | channel, pitch, velocity])


def off(pitch, channel=0):
    return bytes([0x80 | channel, pitch, 0])


def meta(kind, *data):
    return bytes([0xFF, kind, len(data), *data])


def quantity(number):
    digits = [number & 127]
    while number := number >> 7:
        digits.append(128 | number & 127)
    return bytes(digits[::-1])


def track(events):
    """A track of the file, of pairs of the ticks since the last event and an event."""
    data = b"".join(quantity(delta) + event for delta, event in events)
    return b"MTrk" + struct.pack(">I", len(data)) + data


def midi(tracks, division=480, form=1, count=None):
    count = len(tracks) if count is None else count
    return b"MThd" + struct.pack(">IHHH", 6, form, count, division) + b"".join(tracks)


def simple(*before, pitch=60):
    """A file of one quarter note."""
    return midi([track([*before, (0, on(pitch)), (480, off(pitch)), END])])


def fuzzed(random):
    """A valid file of random notes, many of them strange, by a NumPy Generator.

    Returns:
        `(data, notes)`: the file, and a sorted list of `(start, duration, pitch, velocity, program,
        channel)`, channels numbered through all tracks.
    """
    tracks, notes = [], []
    for number in range(random.integers(1, 5)):
        events, programs = [], {}
        for channel in random.choice(16, random.integers(1, 4), replace=False).tolist():
            programs[channel] = int(random.integers(128)) if channel != 9 else 128
            if channel != 9:
                events.append((0, 0, bytes([0xC0 | channel, programs[channel]])))
        if random.random() < 0.5:
            events.append((0, 0, meta(0x51, *random.integers(1, 256, 3).tolist())))
        if random.random() < 0.5:
            events.append((int(random.integers(2000)), 0, meta(0x58, 3, 2, 24, 8)))
        ends = {}
        for start in sorted(random.integers(0, 5000, random.integers(1, 60)).tolist()):
            channel = int(random.choice(list(programs)))
            pitch, velocity = int(random.integers(48, 60)), int(random.integers(1, 128))
            # MIDI pairs the first beginning with the first end.
            least = ends.get((channel, pitch), start)
            end = max(start + int(random.integers(1, 900)), least)
            ends[channel, pitch] = end
            order = len(events)
            events.append((start, 2 + order, on(pitch, velocity, channel)))
            silent = random.random() < 0.5
            closing = on(pitch, 0, channel) if silent else off(pitch, channel)
            events.append((end, 1, closing))
            notes.append(
                (start, end - start, pitch, velocity, programs[channel], 16 * number + channel)
            )
        events.sort(key=lambda event: event[:2])
        timed, last, status = [], 0, None
        for tick, _, event in events:
            running = event[0] == status and random.random() < 0.7
            status = event[0] if event[0] < 0xF0 else None
            timed.append((tick - last, event[running:]))
            last = tick
        tracks.append(track([*timed, END]))
    return midi(tracks, int(random.choice([24, 96, 120, 384, 480, 960]))), sorted(notes)
