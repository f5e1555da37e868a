"""The parts a transformer is made of. They receive built parts and plain numbers, never a config."""
