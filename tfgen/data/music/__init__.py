"""Music as notes: pieces, MIDI files, and what is made of them."""
