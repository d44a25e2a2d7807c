"""What can go wrong in a kitchen."""


class LarderError(Exception):
    """Anything that larder refuses, in words for the cook."""


class ParseError(LarderError):
    """A text is not what it should be."""


class UnknownUnit(LarderError):
    """Nobody measures in this."""
