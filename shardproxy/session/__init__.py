"""The spine: the life of one client's requests, in order. Start reading at
:mod:`shardproxy.session.session`.
"""
