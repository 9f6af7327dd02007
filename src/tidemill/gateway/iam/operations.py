"""IAM: users, roles, access keys and policies, by their names on the wire."""

from __future__ import annotations

from tidemill.gateway.call import Handler
from tidemill.gateway.iam import attachments, policies, roles, simulate, users

OPERATIONS: dict[str, Handler] = {
    **users.OPERATIONS,
    **roles.OPERATIONS,
    **policies.OPERATIONS,
    **attachments.OPERATIONS,
    **simulate.OPERATIONS,
}
