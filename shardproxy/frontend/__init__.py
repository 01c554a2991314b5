"""The application's side: listeners, the login, and one
:class:`~shardproxy.frontend.connection.ClientConnection` each.
"""
