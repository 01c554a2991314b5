"""PostgreSQL's own functions whose behaviour analysis must know, by name.

Recorded from pg_proc of PostgreSQL 15 and 18; a test holds them against a server.
"""
# ruff: noqa: SIM905

from typing import Final

VOLATILE: Final = frozenset(
    """
    RI_FKey_cascade_del RI_FKey_cascade_upd RI_FKey_check_ins RI_FKey_check_upd RI_FKey_noaction_del
    RI_FKey_noaction_upd RI_FKey_restrict_del RI_FKey_restrict_upd RI_FKey_setdefault_del
    RI_FKey_setdefault_upd RI_FKey_setnull_del RI_FKey_setnull_upd amvalidate array_sample array_shuffle
    bernoulli binary_upgrade_add_sub_rel_state binary_upgrade_create_empty_extension
    binary_upgrade_logical_slot_has_caught_up binary_upgrade_replorigin_advance
    binary_upgrade_set_missing_value binary_upgrade_set_next_array_pg_type_oid
    binary_upgrade_set_next_attribute_versions binary_upgrade_set_next_heap_pg_class_oid
    binary_upgrade_set_next_heap_relfilenode binary_upgrade_set_next_index_pg_class_oid
    binary_upgrade_set_next_index_relfilenode binary_upgrade_set_next_multirange_array_pg_type_oid
    binary_upgrade_set_next_multirange_pg_type_oid binary_upgrade_set_next_pg_authid_oid
    binary_upgrade_set_next_pg_enum_oid binary_upgrade_set_next_pg_tablespace_oid
    binary_upgrade_set_next_pg_type_oid binary_upgrade_set_next_toast_pg_class_oid
    binary_upgrade_set_next_toast_relfilenode binary_upgrade_set_record_init_privs
    brin_desummarize_range brin_summarize_new_values brin_summarize_range brinhandler bthandler
    clock_timestamp current_query currtid2 currval cursor_to_xml cursor_to_xmlschema dsnowball_init
    dsnowball_lexize gen_random_uuid gin_clean_pending_list ginhandler gisthandler hashhandler
    heap_tableam_handler lastval lo_close lo_creat lo_create lo_export lo_from_bytea lo_get lo_import
    lo_lseek lo_lseek64 lo_open lo_put lo_tell lo_tell64 lo_truncate lo_truncate64 lo_unlink loread
    lowrite nextval pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock pg_advisory_unlock_all
    pg_advisory_unlock_shared pg_advisory_xact_lock pg_advisory_xact_lock_shared
    pg_available_wal_summaries pg_backup_start pg_backup_stop pg_blocking_pids pg_cancel_backend
    pg_clear_attribute_stats pg_clear_relation_stats pg_collation_actual_version pg_control_checkpoint
    pg_control_init pg_control_recovery pg_control_system pg_copy_logical_replication_slot
    pg_copy_physical_replication_slot pg_create_logical_replication_slot
    pg_create_physical_replication_slot pg_create_restore_point pg_current_logfile
    pg_current_wal_flush_lsn pg_current_wal_insert_lsn pg_current_wal_lsn
    pg_database_collation_actual_version pg_database_size pg_drop_replication_slot pg_export_snapshot
    pg_extension_config_dump pg_get_aios pg_get_backend_memory_contexts pg_get_loaded_modules
    pg_get_multixact_members pg_get_sequence_data pg_get_shmem_allocations pg_get_shmem_allocations_numa
    pg_get_wait_events pg_get_wal_replay_pause_state pg_get_wal_resource_managers
    pg_get_wal_summarizer_state pg_hba_file_rules pg_ident_file_mappings pg_import_system_collations
    pg_indexes_size pg_is_in_recovery pg_is_wal_replay_paused pg_isolation_test_session_is_blocked
    pg_jit_available pg_last_committed_xact pg_last_wal_receive_lsn pg_last_wal_replay_lsn
    pg_last_xact_replay_timestamp pg_lock_status pg_log_backend_memory_contexts pg_log_standby_snapshot
    pg_logical_emit_message pg_logical_slot_get_binary_changes pg_logical_slot_get_changes
    pg_logical_slot_peek_binary_changes pg_logical_slot_peek_changes pg_ls_archive_statusdir pg_ls_dir
    pg_ls_logdir pg_ls_logicalmapdir pg_ls_logicalsnapdir pg_ls_replslotdir pg_ls_summariesdir
    pg_ls_tmpdir pg_ls_waldir pg_nextoid pg_notification_queue_usage pg_notify pg_partition_ancestors
    pg_partition_tree pg_prepared_xact pg_promote pg_read_binary_file pg_read_file pg_read_file_old
    pg_relation_size pg_reload_conf pg_replication_origin_advance pg_replication_origin_create
    pg_replication_origin_drop pg_replication_origin_progress pg_replication_origin_session_is_setup
    pg_replication_origin_session_progress pg_replication_origin_session_reset
    pg_replication_origin_session_setup pg_replication_origin_xact_reset
    pg_replication_origin_xact_setup pg_replication_slot_advance pg_restore_attribute_stats
    pg_restore_relation_stats pg_rotate_logfile pg_rotate_logfile_old pg_safe_snapshot_blocking_pids
    pg_sequence_last_value pg_show_all_file_settings pg_show_replication_origin_status pg_sleep
    pg_sleep_for pg_sleep_until pg_stat_clear_snapshot pg_stat_file pg_stat_force_next_flush
    pg_stat_get_backend_io pg_stat_get_backend_wal pg_stat_get_io pg_stat_get_recovery_prefetch
    pg_stat_get_xact_blocks_fetched pg_stat_get_xact_blocks_hit pg_stat_get_xact_function_calls
    pg_stat_get_xact_function_self_time pg_stat_get_xact_function_total_time pg_stat_get_xact_numscans
    pg_stat_get_xact_tuples_deleted pg_stat_get_xact_tuples_fetched pg_stat_get_xact_tuples_hot_updated
    pg_stat_get_xact_tuples_inserted pg_stat_get_xact_tuples_newpage_updated
    pg_stat_get_xact_tuples_returned pg_stat_get_xact_tuples_updated pg_stat_have_stats pg_stat_reset
    pg_stat_reset_backend_stats pg_stat_reset_replication_slot pg_stat_reset_shared
    pg_stat_reset_single_function_counters pg_stat_reset_single_table_counters pg_stat_reset_slru
    pg_stat_reset_subscription_stats pg_stop_making_pinned_objects pg_switch_wal
    pg_sync_replication_slots pg_table_size pg_tablespace_size pg_terminate_backend
    pg_total_relation_size pg_try_advisory_lock pg_try_advisory_lock_shared pg_try_advisory_xact_lock
    pg_try_advisory_xact_lock_shared pg_wal_replay_pause pg_wal_replay_resume pg_wal_summary_contents
    pg_xact_commit_timestamp pg_xact_commit_timestamp_origin pg_xact_status plpgsql_call_handler
    plpgsql_inline_handler plpgsql_validator query_to_xml query_to_xml_and_xmlschema query_to_xmlschema
    random random_normal set_config setseed setval spghandler suppress_redundant_updates_trigger system
    timeofday ts_rewrite ts_stat tsvector_update_trigger tsvector_update_trigger_column txid_status
    unique_key_recheck uuidv4 uuidv7
    """.split()
)
"""provolatile 'v', in one of its variants."""

AGGREGATES: Final = frozenset(
    """
    any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp
    cume_dist dense_rank every json_agg json_agg_strict json_object_agg json_object_agg_strict
    json_object_agg_unique json_object_agg_unique_strict jsonb_agg jsonb_agg_strict jsonb_object_agg
    jsonb_object_agg_strict jsonb_object_agg_unique jsonb_object_agg_unique_strict max min mode
    percent_rank percentile_cont percentile_disc range_agg range_intersect_agg rank regr_avgx regr_avgy
    regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop
    stddev_samp string_agg sum var_pop var_samp variance xmlagg
    """.split()
)
"""prokind 'a'."""

LIKE_VOLATILE: Final = frozenset({"pg_current_xact_id", "txid_current"})
"""Declared stable, and yet they give the transaction an identifier, which a replica cannot."""

ADVISORY_LOCKS: Final = ("pg_advisory_", "pg_try_advisory_")
"""How the functions begin that take or give back a lock that means something between sessions alone."""

SESSION_LOCKS: Final = frozenset(
    {"pg_advisory_lock", "pg_advisory_lock_shared", "pg_try_advisory_lock", "pg_try_advisory_lock_shared"}
)
"""They leave a lock that outlives the transaction."""

UNLOCKS_ALL: Final = "pg_advisory_unlock_all"
"""It takes our own locks of the connection too."""

SEQUENCE_STATE: Final = frozenset({"currval", "lastval"})
"""They answer from what the session's own server connection did before."""

SEQUENCE_CHANGES: Final = frozenset({"nextval", "setval"})

RUNS_TEXT: Final = frozenset(
    """
    query_to_xml query_to_xmlschema query_to_xml_and_xmlschema cursor_to_xml cursor_to_xmlschema
    table_to_xml table_to_xmlschema table_to_xml_and_xmlschema schema_to_xml schema_to_xmlschema
    schema_to_xml_and_xmlschema database_to_xml database_to_xmlschema database_to_xml_and_xmlschema
    ts_stat
    """.split()
)
"""They read tables that are named in a value, which no analysis sees."""

SERVER_FILES: Final = frozenset({"pg_read_file", "pg_read_binary_file", "pg_stat_file", "pg_ls_dir"})

SIGNALS: Final = frozenset({"pg_cancel_backend", "pg_terminate_backend"})
"""They name a server process, and server processes are lent from session to session."""

CONNECTION_CATALOGS: Final = frozenset({"pg_prepared_statements"})
CONNECTION_FUNCTIONS: Final = frozenset({"pg_prepared_statement"})
"""They show what is prepared on the server connection, by whomever."""

REVEALING_CATALOGS: Final = frozenset(
    """
    pg_stats pg_stats_ext pg_stats_ext_exprs pg_statistic pg_statistic_ext_data pg_stat_activity
    """.split()
)
REVEALING_FUNCTIONS: Final = frozenset(
    {"pg_stat_get_activity", "pg_stat_get_backend_activity", "pg_mcv_list_items"}
)
"""They show values out of rows, or statements of other sessions: not for a session of one tenant."""

SESSION_STATE: Final = frozenset({"setseed", "pg_replication_origin_session_setup", "pg_export_snapshot"})
"""They change the server connection for what follows."""

CLOCKS: Final = frozenset(
    """
    now transaction_timestamp statement_timestamp age pg_backend_pid inet_server_addr inet_server_port
    inet_client_addr inet_client_port pg_postmaster_start_time pg_conf_load_time version
    pg_current_snapshot txid_current_snapshot txid_current_if_assigned pg_current_xact_id_if_assigned
    pg_column_size pg_column_compression pg_column_toast_chunk_id pg_my_temp_schema pg_relation_filenode
    pg_relation_filepath
    """.split()
)
"""Stable within one server, and different on each."""

READ_DATES: Final = frozenset(
    """
    date time timetz timestamp timestamptz daterange tsrange tstzrange datemultirange tsmultirange
    tstzmultirange date_in time_in timetz_in timestamp_in timestamptz_in array_in domain_in multirange_in
    range_in record_in json_populate_record json_populate_recordset jsonb_populate_record
    jsonb_populate_record_valid jsonb_populate_recordset
    """.split()
)
"""They make a date or time of any text, in which 'now' is the begin of the transaction."""

BINDING: Final = (
    (VOLATILE | LIKE_VOLATILE | SESSION_STATE | CLOCKS | READ_DATES)
    | {"mxid_age", "pg_cursor", "pg_prepared_statement", "pg_get_replication_slots", "pg_listening_channels"}
    | {"pg_timezone_names", "pg_timezone_abbrevs", "pg_timezone_abbrevs_abbrevs", "pg_timezone_abbrevs_zone"}
) - {"version", "set_config"}
"""What they answer is of this transaction, or of this server alone: a block that called one stays where it
is, because one begun anew could be told by it. version() says no more than that servers differ, which they
may; set_config() is followed.
"""

BINDING_PREFIX: Final = "pg_stat_get_"
"""So begin the functions behind the statistics views, which show the running transaction."""

BINDING_VIEWS: Final = frozenset(
    """
    pg_aios pg_backend_memory_contexts pg_cursors pg_file_settings pg_locks pg_prepared_statements
    pg_prepared_xacts pg_replication_origin_status pg_replication_slots pg_sequences pg_shmem_allocations
    pg_shmem_allocations_numa pg_timezone_abbrevs pg_timezone_names
    """.split()
)
"""System views that show what sessions and transactions of one server do, as those whose name begins with
:data:`BINDING_VIEW_PREFIXES` do; all others show definitions.
"""

BINDING_VIEW_PREFIXES: Final = ("pg_stat_", "pg_statio_")
