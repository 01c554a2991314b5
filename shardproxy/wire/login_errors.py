"""What a server says when it refuses a login, as one of our errors."""

import re
from collections.abc import Mapping

from shardproxy.errors import Blame, LoginFailed, Unavailable

_SQLSTATE = re.compile(r"[0-9A-Z]{5}", re.ASCII)

_FINAL_CLASSES = frozenset(("08", "0A", "22", "28", "3D", "42"))
"""SQLSTATE classes that say the login is wrong in itself: trying again changes nothing."""

_BEFORE_AUTHENTICATION = {
    "28P01": 'password authentication failed for user "{user}"',
    "28000": 'the server does not accept the login of user "{user}" to database "{database}"',
    "53300": "sorry, too many clients already",
    "57P03": "the database system is not accepting connections",
}


def login_error(
    fields: Mapping[str, str], user: str, database: str, authenticated: bool
) -> LoginFailed | Unavailable:
    """The error for an ErrorResponse during a login, with the server's SQLSTATE; any field may be missing.

    LoginFailed when the login itself is wrong, Unavailable when it may succeed later. Before
    AuthenticationOk anybody may be answering, so the message is worded here, and what was said is only a
    note for the log (``__notes__``); afterwards it carries the server's message, detail and hint.
    """
    state = fields.get("C", "")
    if not _SQLSTATE.fullmatch(state) or state.startswith("00"):
        state = "08006"
    kind = LoginFailed if state[:2] in _FINAL_CLASSES and state != "08006" else Unavailable
    error: LoginFailed | Unavailable
    if authenticated:
        message = fields.get("M") or "the server ended the login without a message"
        error = kind(message, sqlstate=state, detail=fields.get("D"), hint=fields.get("H"))
    else:
        template = _BEFORE_AUTHENTICATION.get(state, f"the server refused the login (SQLSTATE {state})")
        error = kind(template.format(user=user, database=database), sqlstate=state)
        error.add_note(f"the server said: {fields.get('S', '')}: {fields.get('M', '')[:500]!r}")
    error.blame = Blame.SERVER
    return error
