"""Seeded payment traffic that looks like life, and like trouble. The same seed gives the same intents.

from connectors.generator import generate, opening
"""

from connectors.generator.generated import Generated
from connectors.generator.stream import generate, opening

__all__ = ["Generated", "generate", "opening"]
