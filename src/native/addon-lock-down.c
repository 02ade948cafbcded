/* Puts a ruleset and a filter on every thread of a running process.
 *
 * Below ABI 8 (Linux 7.0) landlock_restrict_self binds the calling thread alone, and Node has a dozen. So each thread is
 * made to call it, by signal 33: the one that glibc keeps for setuid(2) in all threads (SIGSETXID), and therefore the only
 * one that no thread blocks, not even Node's SignalInspector. Three passes over all threads: first nothing but an answer,
 * so that a thread that cannot be reached is known before anything irreversible; then the restriction; then, with the
 * filter installed, the proof, which each thread gives of itself. */
#define _GNU_SOURCE
#include "addon.h"
#include "kernel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SIGNAL = 33, MOST_THREADS = 4096, DEADLINE_MS = 2000 };
enum { RESTRICT_SELF_TSYNC = 1 << 3 };

/* What failed; `lock-down.ts` words it. */
enum { STEP_THREADS = 1, STEP_PING, STEP_RESTRICT, STEP_FILTER, STEP_PROOF, STEP_NO_FILTERS };
enum pass { PASS_PING, PASS_RESTRICT, PASS_PROVE };

/* The threads that were asked, and which of them have answered. */
static struct {
	pid_t tids[MOST_THREADS];
	atomic_bool answered[MOST_THREADS];
	atomic_size_t count;
	/* Grows with each answer; whoever waits for `expected` of them sleeps on it. */
	_Atomic uint32_t answers, expected;
} asked;

static struct {
	enum pass pass;
	int ruleset;
	uint32_t flags;
	char probe[PATH_ROOM];
	atomic_int error;
} order;

static int prove(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0 };
	struct __user_cap_data_struct sets[2] = { { 0, 0, 0 }, { 0, 0, 0 } };
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != SECCOMP_MODE_FILTER)
		return -ENOTRECOVERABLE;
	if (syscall(SYS_capget, &header, sets) < 0)
		return -errno;
	if (sets[0].effective | sets[0].permitted | sets[1].effective | sets[1].permitted)
		return -EPERM;
	owned_fd opened = open(order.probe, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return opened < 0 && errno == EACCES ? 0 : -ENOTRECOVERABLE;
}

static int act(void)
{
	int failed;
	switch (order.pass) {
	case PASS_PING:
		return 0;
	case PASS_RESTRICT:
		if ((failed = forbid_new_privileges()) < 0 || (failed = drop_capabilities()) < 0)
			return failed;
		return order.flags & RESTRICT_SELF_TSYNC ? 0 : landlock_restrict(order.ruleset, order.flags);
	case PASS_PROVE:
		return prove();
	}
	return -EINVAL;
}

static void answer(void)
{
	const pid_t self = (pid_t)syscall(SYS_gettid);
	const int error = act();
	int none = 0;
	if (error < 0)
		atomic_compare_exchange_strong(&order.error, &none, error);
	for (size_t i = 0; i < atomic_load(&asked.count); i++)
		if (asked.tids[i] == self)
			atomic_store(&asked.answered[i], true);
	/* Woken once, by the last: each time before would take a processor from those that have yet to answer. */
	if (atomic_fetch_add(&asked.answers, 1) + 1 >= atomic_load(&asked.expected))
		syscall(SYS_futex, &asked.answers, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void on_signal(int signal)
{
	const int saved = errno;
	(void)signal;
	answer();
	errno = saved;
}

/* struct sigaction of the kernel: glibc's own refuses signal 33. */
struct kernel_action {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

#ifdef __x86_64__
enum { RESTORER_FLAG = 0x04000000 };
__attribute__((naked)) static void restore(void)
{
	__asm__("mov $15, %eax\n\tsyscall"); /* rt_sigreturn */
}
#else
enum { RESTORER_FLAG = 0 };
#define restore NULL
#endif

static bool is_asked(pid_t tid)
{
	for (size_t i = 0; i < atomic_load(&asked.count); i++)
		if (asked.tids[i] == tid)
			return true;
	return false;
}

static uint64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Adds the threads that have not been asked in this pass: how many, or -errno. */
static int find_new(DIR *tasks)
{
	int added = 0;
	rewinddir(tasks);
	for (struct dirent *entry; (entry = readdir(tasks));) {
		const pid_t tid = atoi(entry->d_name);
		const size_t count = atomic_load(&asked.count);
		if (tid <= 0 || is_asked(tid))
			continue;
		if (count == MOST_THREADS)
			return -E2BIG;
		asked.tids[count] = tid;
		atomic_store(&asked.answered[count], false);
		atomic_store(&asked.count, count + 1);
		added++;
	}
	return added;
}

/* Until each has answered or has ended. Asleep, not spinning: on a busy machine the threads that are waited for need this
 * very processor. Not for long, since a thread that has ended wakes nobody. */
static int await_answers(size_t from, int32_t *culprit)
{
	const uint64_t deadline = now_us() + DEADLINE_MS * 1000;
	for (size_t i = from; i < atomic_load(&asked.count); i++) {
		for (;;) {
			const uint32_t seen = atomic_load(&asked.answers);
			if (atomic_load(&asked.answered[i]))
				break;
			*culprit = asked.tids[i];
			if (syscall(SYS_tgkill, getpid(), asked.tids[i], 0) < 0 && errno == ESRCH)
				break;
			if (now_us() > deadline)
				return -ETIMEDOUT;
			const struct timespec most = { .tv_nsec = 2000000 };
			syscall(SYS_futex, &asked.answers, FUTEX_WAIT_PRIVATE, seen, &most, NULL, 0);
		}
	}
	return atomic_load(&order.error);
}

/* Until a scan finds no thread that was not asked: one that has answered can only start threads like itself. */
static int ask_all(DIR *tasks, enum pass pass, int32_t *culprit)
{
	const pid_t self = (pid_t)syscall(SYS_gettid);
	order.pass = pass;
	atomic_store(&order.error, 0);
	atomic_store(&asked.count, 0);
	atomic_store(&asked.answers, 0);
	for (;;) {
		const size_t from = atomic_load(&asked.count);
		const int added = find_new(tasks);
		if (added <= 0)
			return added;
		atomic_store(&asked.expected, (uint32_t)atomic_load(&asked.count));
		for (size_t i = from; i < atomic_load(&asked.count); i++) {
			if (asked.tids[i] == self)
				answer();
			else if (syscall(SYS_tgkill, getpid(), asked.tids[i], SIGNAL) < 0 && errno != ESRCH)
				return -errno;
		}
		const int failed = await_answers(from, culprit);
		if (failed)
			return failed;
	}
}

static int apply(DIR *tasks, const struct sock_filter *filter, uint16_t count, int32_t results[4])
{
	const uint32_t action = SECCOMP_RET_ERRNO;
	int failed;
	/* Asked first: a host without filters is found out before anything irreversible. */
	results[0] = STEP_NO_FILTERS;
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0)
		return -errno;
	results[0] = STEP_PING;
	if ((failed = ask_all(tasks, PASS_PING, &results[1])))
		return failed;
	results[0] = STEP_RESTRICT;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	if ((failed = ask_all(tasks, PASS_RESTRICT, &results[1])))
		return failed;
	if (order.flags & RESTRICT_SELF_TSYNC && (failed = landlock_restrict(order.ruleset, order.flags)))
		return failed;
	results[0] = STEP_FILTER;
	if ((failed = seccomp_install(filter, count, SECCOMP_FILTER_FLAG_TSYNC))) {
		results[1] = failed > 0 ? failed : 0;
		return failed > 0 ? -ESRCH : failed;
	}
	results[0] = STEP_PROOF;
	if ((failed = ask_all(tasks, PASS_PROVE, &results[1])))
		return failed;
	results[0] = 0;
	results[2] = (int32_t)asked.count;
	results[3] = 0;
	for (size_t i = 0; i < asked.count; i++)
		results[3] += atomic_load(&asked.answered[i]);
	return 0;
}

static int lock_down(int ruleset, uint32_t flags, const struct sock_filter *filter, uint16_t count, const char *probe,
		     int32_t results[4])
{
	static atomic_flag busy = ATOMIC_FLAG_INIT;
	const struct kernel_action ours = {
		.handler = on_signal,
		.flags = SA_RESTART | RESTORER_FLAG,
		.restorer = restore,
		.mask = ~(uint64_t)0,
	};
	struct kernel_action before;
	results[0] = STEP_THREADS;
	if (atomic_flag_test_and_set(&busy))
		return -EBUSY;
	order.ruleset = ruleset;
	order.flags = flags;
	strcpy(order.probe, probe);
	/* Opened first: afterwards the ruleset may not let us. What is open stays readable. */
	DIR *tasks = opendir("/proc/self/task");
	int failed = tasks ? 0 : -errno;
	if (!failed && syscall(SYS_rt_sigaction, SIGNAL, &ours, &before, sizeof(uint64_t)) < 0)
		failed = -errno;
	if (!failed) {
		failed = apply(tasks, filter, count, results);
		syscall(SYS_rt_sigaction, SIGNAL, &before, NULL, sizeof(uint64_t));
	}
	if (tasks)
		closedir(tasks);
	atomic_flag_clear(&busy);
	return failed;
}

static bool get_text(napi_env env, napi_value value, char into[PATH_ROOM])
{
	return whole_text(env, value, into, PATH_ROOM) && into[0];
}

static bool get_word(napi_env env, napi_value value, uint64_t *into)
{
	bool lossless = false;
	return napi_get_value_bigint_uint64(env, value, into, &lossless) == napi_ok && lossless;
}

/* landlockRuleset(handledFs, handledNet, scoped): a descriptor. */
static napi_value make_ruleset(napi_env env, napi_callback_info info)
{
	napi_value args[3];
	size_t count = 3;
	uint64_t words[3];
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	for (size_t i = 0; i < 3; i++)
		if (count != 3 || !get_word(env, args[i], &words[i]))
			return number_of(env, -EINVAL);
	return number_of(env, landlock_ruleset(words[0], words[1], words[2]));
}

/* landlockAllowBeneath(ruleset, path, access) */
static napi_value allow_beneath(napi_env env, napi_callback_info info)
{
	napi_value args[3];
	size_t count = 3;
	int32_t ruleset;
	uint64_t access;
	char path[PATH_ROOM];
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	if (count != 3 || napi_get_value_int32(env, args[0], &ruleset) != napi_ok || !get_text(env, args[1], path) ||
	    !get_word(env, args[2], &access))
		return number_of(env, -EINVAL);
	return number_of(env, landlock_allow_beneath(ruleset, path, access));
}

/* landlockAllowPort(ruleset, port, access) */
static napi_value allow_port(napi_env env, napi_callback_info info)
{
	napi_value args[3];
	size_t count = 3;
	int32_t ruleset;
	uint32_t port;
	uint64_t access;
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	if (count != 3 || napi_get_value_int32(env, args[0], &ruleset) != napi_ok ||
	    napi_get_value_uint32(env, args[1], &port) != napi_ok || port > 65535 || !get_word(env, args[2], &access))
		return number_of(env, -EINVAL);
	return number_of(env, landlock_allow_port(ruleset, port, access));
}

/* lockDown(ruleset, flags, filter, probe, results): results = [step that failed, thread, threads found, confined]. */
static napi_value lock_down_process(napi_env env, napi_callback_info info)
{
	napi_value args[5];
	size_t count = 5, size = 0, length = 0;
	napi_typedarray_type type;
	char probe[PATH_ROOM];
	int32_t ruleset;
	uint32_t flags;
	void *filter;
	int32_t *results;
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	if (count != 5 || napi_get_value_int32(env, args[0], &ruleset) != napi_ok ||
	    napi_get_value_uint32(env, args[1], &flags) != napi_ok ||
	    napi_get_buffer_info(env, args[2], &filter, &size) != napi_ok || size == 0 ||
	    size % sizeof(struct sock_filter) || size > BPF_MAXINSNS * sizeof(struct sock_filter) ||
	    !get_text(env, args[3], probe) ||
	    napi_get_typedarray_info(env, args[4], &type, &length, (void **)&results, NULL, NULL) != napi_ok ||
	    type != napi_int32_array || length != 4)
		return number_of(env, -EINVAL);
	const uint16_t instructions = (uint16_t)(size / sizeof(struct sock_filter));
	return number_of(env, lock_down(ruleset, flags, filter, instructions, probe, results));
}

/* securityState(results): [no_new_privs, seccomp mode] of the calling thread, as the kernel tells them. */
static napi_value read_state(napi_env env, napi_callback_info info)
{
	napi_value args[1];
	size_t count = 1, length = 0;
	napi_typedarray_type type;
	int32_t *results;
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	if (count != 1 || napi_get_typedarray_info(env, args[0], &type, &length, (void **)&results, NULL, NULL) != napi_ok ||
	    type != napi_int32_array || length != 2)
		return number_of(env, -EINVAL);
	results[0] = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	results[1] = prctl(PR_GET_SECCOMP, 0, 0, 0, 0);
	return number_of(env, 0);
}

void register_lock_down(napi_env env, napi_value exports)
{
	export_function(env, exports, "landlockRuleset", make_ruleset);
	export_function(env, exports, "landlockAllowBeneath", allow_beneath);
	export_function(env, exports, "landlockAllowPort", allow_port);
	export_function(env, exports, "lockDown", lock_down_process);
	export_function(env, exports, "securityState", read_state);
}
