"""PostgreSQL's stable functions and system views that do not bind a block, each looked at: recorded from 15 and 18.

They depend on definitions, settings and their arguments, and on no clock, snapshot, connection or statistics.
"""
# ruff: noqa: SIM905

FUNCTIONS = frozenset(
    """
    aclexplode aclitemin aclitemout anyarray_out anyarray_recv anyarray_send anycompatiblearray_out
    anycompatiblearray_recv anycompatiblearray_send anycompatiblemultirange_in anycompatiblemultirange_out
    anycompatiblerange_in anycompatiblerange_out anyenum_out anymultirange_in anymultirange_out anyrange_in
    anyrange_out anytextcat areajoinsel areasel array_out array_recv array_send array_to_json
    array_to_string array_typanalyze arraycontjoinsel arraycontsel bpcharrecv bpcharsend
    brin_bloom_summary_recv brin_bloom_summary_send brin_minmax_multi_summary_recv
    brin_minmax_multi_summary_send cash_in cash_out col_description concat concat_ws contjoinsel contsel
    convert convert_from convert_to cstring_recv cstring_send current_database current_schema
    current_schemas current_setting current_user date_add date_cmp_timestamptz date_eq_timestamptz
    date_ge_timestamptz date_gt_timestamptz date_le_timestamptz date_lt_timestamptz date_ne_timestamptz
    date_out date_part date_subtract date_trunc domain_recv enum_first enum_in enum_last enum_out enum_range
    enum_recv enum_send eqjoinsel eqsel extract fmgr_c_validator fmgr_internal_validator fmgr_sql_validator
    format format_type generate_series get_current_ts_config getdatabaseencoding getpgusername
    has_any_column_privilege has_column_privilege has_database_privilege has_foreign_data_wrapper_privilege
    has_function_privilege has_language_privilege has_largeobject_privilege has_parameter_privilege
    has_schema_privilege has_sequence_privilege has_server_privilege has_table_privilege
    has_tablespace_privilege has_type_privilege iclikejoinsel iclikesel icnlikejoinsel icnlikesel
    icregexeqjoinsel icregexeqsel icregexnejoinsel icregexnesel in_range interval_in interval_out
    interval_pl_timestamptz json_agg json_agg_strict json_agg_strict_transfn json_agg_transfn
    json_build_array json_build_object json_object_agg json_object_agg_strict json_object_agg_strict_transfn
    json_object_agg_transfn json_object_agg_unique json_object_agg_unique_strict
    json_object_agg_unique_strict_transfn json_object_agg_unique_transfn json_to_record json_to_recordset
    json_to_tsvector jsonb_agg jsonb_agg_finalfn jsonb_agg_strict jsonb_agg_strict_transfn jsonb_agg_transfn
    jsonb_build_array jsonb_build_object jsonb_object_agg_finalfn jsonb_object_agg_strict_transfn
    jsonb_object_agg_transfn jsonb_object_agg_unique_strict_transfn jsonb_object_agg_unique_transfn
    jsonb_path_exists_tz jsonb_path_match_tz jsonb_path_query_array_tz jsonb_path_query_first_tz
    jsonb_path_query_tz jsonb_to_record jsonb_to_recordset jsonb_to_tsvector length likejoinsel likesel
    make_timestamptz matchingjoinsel matchingsel money multirange_out multirange_recv multirange_send
    multirange_typanalyze multirangesel namerecv namesend neqjoinsel neqsel networkjoinsel networksel
    nlikejoinsel nlikesel numeric obj_description oidvectortypes overlaps pg_available_extension_versions
    pg_available_extensions pg_basetype pg_char_to_encoding pg_client_encoding pg_collation_for
    pg_collation_is_visible pg_column_is_updatable pg_config pg_conversion_is_visible pg_dependencies_recv
    pg_dependencies_send pg_describe_object pg_encoding_to_char pg_event_trigger_ddl_commands
    pg_event_trigger_dropped_objects pg_event_trigger_table_rewrite_oid
    pg_event_trigger_table_rewrite_reason pg_extension_update_paths pg_filenode_relation
    pg_function_is_visible pg_get_acl pg_get_catalog_foreign_keys pg_get_constraintdef pg_get_expr
    pg_get_function_arg_default pg_get_function_arguments pg_get_function_identity_arguments
    pg_get_function_result pg_get_function_sqlbody pg_get_functiondef pg_get_indexdef pg_get_keywords
    pg_get_object_address pg_get_partition_constraintdef pg_get_partkeydef pg_get_publication_tables
    pg_get_replica_identity_index pg_get_ruledef pg_get_serial_sequence pg_get_statisticsobjdef
    pg_get_statisticsobjdef_columns pg_get_statisticsobjdef_expressions pg_get_triggerdef pg_get_userbyid
    pg_get_viewdef pg_has_role pg_identify_object pg_identify_object_as_address pg_index_column_has_property
    pg_index_has_property pg_indexam_has_property pg_input_error_info pg_input_is_valid
    pg_is_other_temp_schema pg_mcv_list_items pg_mcv_list_recv pg_mcv_list_send pg_ndistinct_recv
    pg_ndistinct_send pg_node_tree_recv pg_node_tree_send pg_numa_available pg_opclass_is_visible
    pg_operator_is_visible pg_opfamily_is_visible pg_options_to_table pg_relation_is_publishable
    pg_relation_is_updatable pg_replication_origin_oid pg_sequence_parameters pg_settings_get_flags
    pg_show_all_settings pg_split_walfile_name pg_statistics_obj_is_visible pg_table_is_visible
    pg_tablespace_databases pg_tablespace_location pg_trigger_depth pg_ts_config_is_visible
    pg_ts_dict_is_visible pg_ts_parser_is_visible pg_ts_template_is_visible pg_type_is_visible pg_typeof
    phraseto_tsquery plainto_tsquery positionjoinsel positionsel prefixjoinsel prefixsel quote_literal
    quote_nullable range_out range_recv range_send range_typanalyze rangesel record_out record_recv
    record_send regclass regclassin regclassout regcollationin regcollationout regconfigin regconfigout
    regdictionaryin regdictionaryout regexeqjoinsel regexeqsel regexnejoinsel regexnesel regnamespacein
    regnamespaceout regoperatorin regoperatorout regoperin regoperout regprocedurein regprocedureout
    regprocin regprocout regrolein regroleout regtypein regtypeout row_security_active row_to_json
    scalargejoinsel scalargesel scalargtjoinsel scalargtsel scalarlejoinsel scalarlesel scalarltjoinsel
    scalarltsel session_user shobj_description system_user textanycat textrecv textsend
    timestamp_cmp_timestamptz timestamp_eq_timestamptz timestamp_ge_timestamptz timestamp_gt_timestamptz
    timestamp_le_timestamptz timestamp_lt_timestamptz timestamp_ne_timestamptz timestamp_out
    timestamptz_cmp_date timestamptz_cmp_timestamp timestamptz_eq_date timestamptz_eq_timestamp
    timestamptz_ge_date timestamptz_ge_timestamp timestamptz_gt_date timestamptz_gt_timestamp
    timestamptz_le_date timestamptz_le_timestamp timestamptz_lt_date timestamptz_lt_timestamp
    timestamptz_mi_interval timestamptz_ne_date timestamptz_ne_timestamp timestamptz_out
    timestamptz_pl_interval timezone to_char to_date to_json to_jsonb to_number to_regclass to_regcollation
    to_regnamespace to_regoper to_regoperator to_regproc to_regprocedure to_regrole to_regtype to_regtypemod
    to_timestamp to_tsquery to_tsvector ts_debug ts_headline ts_match_tq ts_match_tt ts_parse ts_token_type
    ts_typanalyze tsmatchjoinsel tsmatchsel varcharrecv varcharsend version websearch_to_tsquery xml xml_in
    xml_is_well_formed xml_recv xml_send
    """.split()
)

VIEWS = frozenset(
    """
    pg_available_extension_versions pg_available_extensions pg_config pg_group pg_hba_file_rules
    pg_ident_file_mappings pg_indexes pg_matviews pg_policies pg_publication_tables pg_roles pg_rules pg_seclabels
    pg_settings pg_shadow pg_stats pg_stats_ext pg_stats_ext_exprs pg_tables pg_user pg_user_mappings pg_views
    pg_wait_events
    """.split()
)
