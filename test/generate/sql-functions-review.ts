/**
 * What people decided about PostgreSQL's own functions, where the catalogue alone does not say enough. A VOLATILE
 * function that is not named here is denied; an IMMUTABLE or STABLE one that is not named here is harmless.
 */

/** VOLATILE, because the answer changes or statistics are read; nothing is written, locked, signalled or opened. */
export const HARMLESS_THOUGH_VOLATILE = `
array_sample array_shuffle random random_normal setseed gen_random_uuid uuidv4 uuidv7 clock_timestamp timeofday
current_query currval lastval pg_sequence_last_value pg_get_sequence_data
pg_database_size pg_indexes_size pg_relation_size pg_table_size pg_tablespace_size pg_total_relation_size
pg_partition_ancestors pg_partition_tree pg_collation_actual_version pg_database_collation_actual_version
pg_blocking_pids pg_safe_snapshot_blocking_pids pg_isolation_test_session_is_blocked pg_lock_status
pg_notification_queue_usage pg_jit_available
pg_is_in_recovery pg_is_wal_replay_paused pg_get_wal_replay_pause_state pg_last_wal_receive_lsn pg_last_wal_replay_lsn
pg_last_xact_replay_timestamp pg_current_wal_flush_lsn pg_current_wal_insert_lsn pg_current_wal_lsn
pg_last_committed_xact pg_xact_commit_timestamp pg_xact_commit_timestamp_origin pg_xact_status txid_status
pg_get_multixact_members pg_prepared_xact pg_show_replication_origin_status pg_get_aios
pg_get_backend_memory_contexts pg_get_shmem_allocations pg_get_shmem_allocations_numa pg_get_wait_events
pg_get_wal_resource_managers pg_get_wal_summarizer_state pg_control_checkpoint pg_control_init pg_control_recovery
pg_control_system pg_stat_have_stats pg_stat_get_backend_io pg_stat_get_backend_wal pg_stat_get_io
pg_stat_get_recovery_prefetch pg_stat_get_xact_blocks_fetched pg_stat_get_xact_blocks_hit
pg_stat_get_xact_function_calls pg_stat_get_xact_function_self_time pg_stat_get_xact_function_total_time
pg_stat_get_xact_numscans pg_stat_get_xact_tuples_deleted pg_stat_get_xact_tuples_fetched
pg_stat_get_xact_tuples_hot_updated pg_stat_get_xact_tuples_inserted pg_stat_get_xact_tuples_newpage_updated
pg_stat_get_xact_tuples_returned pg_stat_get_xact_tuples_updated
`;

/** Writes what an INSERT may write. */
export const WRITES = `nextval`;

/** Why a function is denied, in the words of the denial; patterns over names, first match wins. */
export const DENIED: readonly (readonly [reason: string, names: RegExp])[] = [
  [
    'runs SQL text',
    /^(query_to_xml.*|cursor_to_xml.*|(table|schema|database)_to_xml.*|ts_stat|ts_rewrite|plpgsql_inline_handler)$/u,
  ],
  [
    'reads or writes files of the server',
    /^(pg_(read_|ls_|stat_file|current_logfile|hba_file_rules|ident_file_mappings|show_all_file_settings|wal_summary|available_wal_summaries|export_snapshot|get_loaded_modules).*)$/u,
  ],
  ['reads or writes large objects', /^(lo_.*|loread|lowrite)$/u],
  ['waits', /^pg_sleep.*$/u],
  ['takes or releases locks', /^pg_(try_)?advisory_.*$/u],
  [
    'signals or controls the server',
    /^pg_(cancel_backend|terminate_backend|reload_conf|rotate_logfile|promote|log_.*|switch_wal|backup_.*|create_restore_point|wal_replay_.*)$/u,
  ],
  ['changes settings of the session', /^set_config$/u],
  ['sends messages', /^pg_(notify|logical_emit_message)$/u],
  ['changes a sequence', /^setval$/u],
  [
    'changes statistics',
    /^pg_(stat_reset.*|stat_clear_snapshot|stat_force_next_flush|clear_.*_stats|restore_.*_stats)$/u,
  ],
  [
    'changes replication',
    /^pg_(replication_.*|logical_slot_.*|copy_.*|create_.*_slot|drop_replication_slot|sync_replication_slots)$/u,
  ],
  ['changes indexes', /^(brin_(de)?summarize.*|gin_clean_pending_list)$/u],
  // Stable or immutable by the catalogue, but they load the library or compile the body of any function they are given.
  [
    'is internal to the server',
    /^(fmgr_.*_validator|plpgsql_.*|amvalidate|postgresql_fdw_validator|binary_upgrade_.*|.*handler|pg_nextoid|.*_typanalyze)$/u,
  ],
];
