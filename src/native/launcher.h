/* The parts of the launcher: a static program that confines one command, starts it, and outlives all it started. */
#ifndef TAPPASS_LAUNCHER_H
#define TAPPASS_LAUNCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The socket to the parent: orders come in, reports go out; its end of file is the parent's death. */
enum { CONTROL_FD = 3 };

/* What was being done when something failed. `launcher.ts` words them; the numbers are the protocol. */
enum step {
	STEP_ORDERS = 1,
	STEP_NAMESPACES,
	STEP_MOUNTS,
	STEP_RULESET,
	STEP_PATH,
	STEP_PORT,
	STEP_FORK,
	STEP_SESSION,
	STEP_DESCRIPTORS,
	STEP_LIMITS,
	STEP_IDENTITY,
	STEP_CAPABILITIES,
	STEP_PRIVILEGES,
	STEP_DIRECTORY,
	STEP_LANDLOCK,
	STEP_SECCOMP,
	STEP_EXEC,
	STEP_GROUP,
};

enum report { REPORT_FAILED = 1, REPORT_STARTED, REPORT_ENDED };

/* Why the tree was killed before its first process ended by itself. */
enum reason { REASON_NONE, REASON_MEMORY, REASON_PIDS, REASON_CPU, REASON_KILLED, REASON_PARENT };

/* Every report has this one shape, little-endian like the machine. */
struct report_record {
	uint32_t kind;
	int32_t first;   /* FAILED: step. STARTED: pid of the first process. ENDED: its wait status. */
	int32_t second;  /* FAILED: errno. STARTED: CLONE_NEW* that hold. ENDED: enum reason. */
	uint32_t index;  /* FAILED: which rule. STARTED: 1 when the tree can be watched. ENDED: descendants that had to be killed. */
	uint64_t user_us;
	uint64_t system_us;
	uint64_t peak_rss_kb;
};

struct limit_order {
	uint32_t resource;
	uint32_t padding;
	uint64_t soft;
	uint64_t hard;
};

enum { MOST_STRINGS = 65536, MOST_RULES = 4096, MOST_LIMITS = 16, MOST_GROUPS = 4, MOST_READ_ONLY = 64 };

struct path_order {
	uint64_t access;
	const char *path;
};
struct port_order {
	uint64_t access;
	uint64_t port;
};

struct orders {
	const char *program;
	const char *directory;
	char **arguments;
	char **environment;
	size_t argument_count;
	size_t environment_count;
	bool has_ruleset;
	uint64_t handled_fs, handled_net, scoped;
	struct path_order *paths;
	size_t path_count;
	struct port_order *ports;
	size_t port_count;
	const void *filter;
	size_t filter_bytes;
	struct limit_order limits[MOST_LIMITS];
	size_t limit_count;
	uint32_t namespaces;
	const char **writable;
	size_t writable_count;
	const char *read_only[MOST_READ_ONLY];
	size_t read_only_count;
	bool has_identity;
	uint32_t uid, gid;
	uint64_t memory_bytes, most_pids, cpu_us;
	uint64_t exec_at[3];
	/* Files of the control groups that were made for the command; which they are is decided by the parent. */
	const char *into, *join[MOST_GROUPS], *wake, *oom, *kill;
	size_t join_count;
};

/* The same files, opened before a namespace or a mount can hide them; -1 where there is none. */
struct groups {
	/* A v2 group to be born in. */
	int into;
	/* Files of v1 groups to be written to: they have no other way, and it can take a grace period of RCU (milliseconds). */
	int join[MOST_GROUPS];
	/* Changes when the limit on processes was met; counts the processes that were killed for memory; kills them all. */
	int wake, oom, kill;
};
int open_groups(const struct orders *orders, struct groups *groups);
/* fork(2), with the child in the v2 group from its first instruction. */
pid_t fork_into_group(const struct groups *groups);
/* Moves the calling process: from here on it, and what it starts, counts. */
int join_groups(const struct orders *orders, const struct groups *groups);
void take_wake(const struct groups *groups);
bool was_out_of_memory(const struct groups *groups);
void kill_group(const struct groups *groups);

/* Reads and checks one set of orders from `fd`. 0, or -errno: nothing half-read is ever acted on. */
int read_orders(int fd, struct orders *orders);

/* A new process that fails before its execve ends with this code: the command never sees it. */
enum { EXIT_LAUNCH = 125 };

int enter_namespaces(uint32_t flags);
int make_read_only_view(const struct orders *orders, bool own_pid_namespace);
struct step_failure {
	int32_t step, error;
	uint32_t index;
};
/* In the forked child. `errors` gets a step_failure, or closes by itself when the program has been started. */
_Noreturn void become_command(const struct orders *orders, const struct groups *groups, int errors, pid_t supervisor);

struct tree_usage {
	uint64_t memory_bytes;
	uint64_t cpu_us;
	/* In: beyond so many (0: any) the two others are not read. */
	uint64_t most_pids;
};

/* All living descendants of this process, from /proc. Signals each when `signal` is not 0. */
size_t walk_tree(int signal, struct tree_usage *usage);

/* False inside another sandbox that hides /proc: then nothing is watched, and the report says so. */
bool can_see_tree(void);

/* Returns when no descendant is left: the proof is ECHILD, since orphans become children of a subreaper or pid 1. */
uint32_t kill_tree(bool own_pid_namespace);

#endif
