"""Face verification for a real door.

The rooms of the house are `oneglance.contract`, `faces`, `training`, `converter`, `daemon`,
`kiosk_ui`, `door` and `cli`; docs/architecture.md says which may import which.
"""

from importlib.metadata import version

__version__ = version("oneglance")
