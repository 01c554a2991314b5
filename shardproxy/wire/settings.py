"""Which session settings a startup packet may carry: an allow-list, because their names end up in statements.

They are those of PostgreSQL 15 to 18 that any user may set (``pg_settings.context = 'user'``), without
those that concern the socket, one transaction, the server's debugging, or libraries loaded when a
connection starts: on a pooled connection these would belong to somebody else. Settings of extensions
(``name.name``) are accepted by their form.
"""

import re
from typing import Final

_SETTINGS = """
    application_name array_nulls backend_flush_after backslash_quote bytea_output check_function_bodies
    client_connection_check_interval client_encoding client_min_messages commit_siblings
    constraint_exclusion cpu_index_tuple_cost cpu_operator_cost cpu_tuple_cost createrole_self_grant
    cursor_tuple_fraction datestyle default_statistics_target default_table_access_method
    default_tablespace default_text_search_config default_toast_compression default_transaction_deferrable
    default_transaction_isolation default_transaction_read_only effective_cache_size
    effective_io_concurrency enable_async_append enable_bitmapscan enable_distinct_reordering
    enable_gathermerge enable_group_by_reordering enable_hashagg enable_hashjoin enable_incremental_sort
    enable_indexonlyscan enable_indexscan enable_material enable_memoize enable_mergejoin enable_nestloop
    enable_parallel_append enable_parallel_hash enable_partition_pruning enable_partitionwise_aggregate
    enable_partitionwise_join enable_presorted_aggregate enable_self_join_elimination enable_seqscan
    enable_sort enable_tidscan escape_string_warning extra_float_digits file_copy_method
    force_parallel_mode from_collapse_limit geqo geqo_effort geqo_generations geqo_pool_size geqo_seed
    geqo_selection_bias geqo_threshold gin_fuzzy_search_limit gin_pending_list_limit hash_mem_multiplier
    icu_validation_level idle_in_transaction_session_timeout idle_session_timeout intervalstyle
    io_combine_limit jit jit_above_cost jit_expressions jit_inline_above_cost jit_optimize_above_cost
    jit_tuple_deforming join_collapse_limit lc_monetary lc_numeric lc_time lock_timeout
    log_parameter_max_length_on_error logical_decoding_work_mem maintenance_io_concurrency
    maintenance_work_mem max_parallel_maintenance_workers max_parallel_workers
    max_parallel_workers_per_gather md5_password_warnings min_parallel_index_scan_size
    min_parallel_table_scan_size parallel_leader_participation parallel_setup_cost parallel_tuple_cost
    password_encryption plan_cache_mode quote_all_identifiers random_page_cost recursive_worktable_factor
    restrict_nonsystem_relation_kind role row_security scram_iterations search_path seq_page_cost
    standard_conforming_strings statement_timeout stats_fetch_consistency synchronize_seqscans
    synchronous_commit temp_buffers temp_tablespaces timezone timezone_abbreviations transaction_timeout
    transform_null_equals vacuum_buffer_usage_limit vacuum_cost_delay vacuum_cost_limit
    vacuum_cost_page_dirty vacuum_cost_page_hit vacuum_cost_page_miss vacuum_failsafe_age
    vacuum_freeze_min_age vacuum_freeze_table_age vacuum_max_eager_freeze_failure_rate
    vacuum_multixact_failsafe_age vacuum_multixact_freeze_min_age vacuum_multixact_freeze_table_age
    vacuum_truncate wal_skip_threshold work_mem xmlbinary xmloption
"""

SESSION_SETTINGS: Final = frozenset(_SETTINGS.split())
"""Lower-cased names of PostgreSQL's own settings that a startup packet may carry."""

_CUSTOM_NAME = re.compile(r"[a-z_][a-z0-9_$]*(\.[a-z_][a-z0-9_$]*)+", re.ASCII)

_ENCODINGS = """
    abc alt euccn eucjis2004 eucjp euckr euctw iso88591 iso885910 iso885913 iso885914 iso885915 iso885916
    iso88592 iso88593 iso88594 iso88595 iso88596 iso88597 iso88598 iso88599 koi8 koi8r koi8u latin1
    latin10 latin2 latin3 latin4 latin5 latin6 latin7 latin8 latin9 muleinternal sqlascii tcvn tcvn5712
    unicode utf8 vscii win win1250 win1251 win1252 win1253 win1254 win1255 win1256 win1257 win1258 win866
    win874 windows1250 windows1251 windows1252 windows1253 windows1254 windows1255 windows1256 windows1257
    windows1258 windows866 windows874
"""

_SAFE_ENCODINGS: Final = frozenset(_ENCODINGS.split())


def is_session_setting(name: str) -> bool:
    """Whether a startup packet may set ``name`` (lower-cased).

    True also promises that it holds only letters, digits, ``_``, ``$`` and dots. (It may still be a
    reserved word.)
    """
    return name in SESSION_SETTINGS or _CUSTOM_NAME.fullmatch(name) is not None


def is_safe_encoding(name: str) -> bool:
    """Whether every byte below 128 is ASCII in the client encoding ``name``, in any of PostgreSQL's
    spellings.

    False for SJIS, BIG5, GBK, GB18030, UHC, JOHAB and their aliases, whose characters may end in ``\\`` or
    ``'``, so that a lexer and the server could read a statement differently; and for names PostgreSQL does
    not know.
    """
    return re.sub(r"[^a-z0-9]", "", name.lower()) in _SAFE_ENCODINGS
