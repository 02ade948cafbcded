/* Confines one command, starts it, and ends when all that it started has ended.
 *
 * Started by the addon with the command's stdio on 0, 1, 2 and a socket to its parent on 3. Its orders come through
 * that socket, not through argv or the environment, which every process of the user can read in /proc. Order of the
 * layers: namespaces and mounts first (Landlock forbids them afterwards), then limits, identity, Linux capabilities,
 * no_new_privs, Landlock, and seccomp last. Any step that fails ends the launch: there is no run without the sandbox. */
#define _GNU_SOURCE
#include "kernel.h"
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Between two looks: by the clock, and when the kernel says that a fork was refused. */
enum { WATCH_MS = 25, WAKE_MS = 5 };

static struct orders orders;
static struct groups groups = { .into = -1, .wake = -1, .oom = -1, .kill = -1 };
static uint32_t namespaces_held;

static void report(const struct report_record *record)
{
	/* MSG_NOSIGNAL: a parent that has died is seen as end of file, not as SIGPIPE. */
	(void)!send(CONTROL_FD, record, sizeof(*record), MSG_NOSIGNAL);
}

static _Noreturn void fail(enum step step, int error, uint32_t index)
{
	report(&(struct report_record){ .kind = REPORT_FAILED, .first = (int32_t)step, .second = -error, .index = index });
	_exit(EXIT_LAUNCH);
}

struct supervised {
	pid_t command;
	int errors;
	int signals;
	enum reason reason;
};

static void send_to_tree(const struct supervised *state, int signal)
{
	if (namespaces_held & CLONE_NEWPID)
		kill(-1, signal);
	else if (!walk_tree(signal, NULL))
		kill(-state->command, signal);
}

enum reaped { REAPED_ALL, REAPED_SOME, REAPED_COMMAND };

/* The kernel hands the group's number out again once the leader is reaped, so the group is killed before that. Bounded,
 * since a fork bomb makes orphans faster than they can be reaped, and the limits must be looked at meanwhile. */
static enum reaped reap(const struct supervised *state, int *status)
{
	for (int i = 0; i < 64; i++) {
		siginfo_t info = { .si_pid = 0 };
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
			return REAPED_ALL;
		const bool is_command = info.si_pid == state->command;
		if (is_command)
			kill(-state->command, SIGKILL);
		int ended;
		waitpid(info.si_pid, &ended, 0);
		if (is_command) {
			*status = ended;
			return REAPED_COMMAND;
		}
	}
	return REAPED_SOME;
}

static _Noreturn void finish(const struct supervised *state, int status)
{
	kill_group(&groups);
	const uint32_t killed = kill_tree(namespaces_held & CLONE_NEWPID);
	struct rusage usage;
	getrusage(RUSAGE_CHILDREN, &usage);
	report(&(struct report_record){
		.kind = REPORT_ENDED,
		.first = status,
		.second = (int32_t)state->reason,
		.index = killed,
		.user_us = (uint64_t)usage.ru_utime.tv_sec * 1000000 + (uint64_t)usage.ru_utime.tv_usec,
		.system_us = (uint64_t)usage.ru_stime.tv_sec * 1000000 + (uint64_t)usage.ru_stime.tv_usec,
		.peak_rss_kb = (uint64_t)usage.ru_maxrss,
	});
	_exit(0);
}

/* Kills all, whatever state the command is in, and reports how its first process ended. */
static _Noreturn void put_an_end(struct supervised *state, enum reason reason)
{
	int status = SIGKILL;
	if (state->reason == REASON_NONE)
		state->reason = reason;
	kill_group(&groups);
	kill(state->command, SIGKILL);
	kill(-state->command, SIGKILL);
	waitpid(state->command, &status, 0);
	finish(state, status);
}

/* One byte each: `K` kills all, any other byte is a signal number to pass on. */
static void take_control(struct supervised *state)
{
	unsigned char bytes[64];
	ssize_t got = recv(CONTROL_FD, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
		put_an_end(state, REASON_PARENT);
	for (ssize_t i = 0; i < got; i++) {
		if (bytes[i] == 'K')
			put_an_end(state, REASON_KILLED);
		if (bytes[i] < NSIG)
			send_to_tree(state, bytes[i]);
	}
}

static void take_errors(struct supervised *state)
{
	struct step_failure failure;
	ssize_t got = read(state->errors, &failure, sizeof(failure));
	if (got < 0 && errno == EINTR)
		return;
	close(state->errors);
	state->errors = -1;
	if (got == (ssize_t)sizeof(failure)) {
		waitpid(state->command, NULL, 0);
		fail((enum step)failure.step, -failure.error, failure.index);
	}
	/* Nothing but our own code ran before the execve: an end of file without a word is success, or a kill before it. */
	report(&(struct report_record){
		.kind = REPORT_STARTED,
		.first = state->command,
		.second = (int32_t)namespaces_held,
		.index = namespaces_held & CLONE_NEWPID || can_see_tree(),
	});
}

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void watch(struct supervised *state)
{
	struct tree_usage usage = { .most_pids = orders.most_pids };
	struct rusage ended;
	if (was_out_of_memory(&groups))
		put_an_end(state, REASON_MEMORY);
	if (!orders.memory_bytes && !orders.most_pids && !orders.cpu_us)
		return;
	if (walk_tree(0, &usage) > orders.most_pids && orders.most_pids)
		put_an_end(state, REASON_PIDS);
	getrusage(RUSAGE_CHILDREN, &ended);
	usage.cpu_us += (uint64_t)(ended.ru_utime.tv_sec + ended.ru_stime.tv_sec) * 1000000 +
			(uint64_t)(ended.ru_utime.tv_usec + ended.ru_stime.tv_usec);
	if (orders.memory_bytes && usage.memory_bytes > orders.memory_bytes)
		put_an_end(state, REASON_MEMORY);
	if (orders.cpu_us && usage.cpu_us > orders.cpu_us)
		put_an_end(state, REASON_CPU);
}

static _Noreturn void supervise(struct supervised *state)
{
	const bool watches = orders.memory_bytes || orders.most_pids || orders.cpu_us || groups.oom >= 0;
	bool more_dead = false;
	for (uint64_t watched = now_ms();;) {
		/* By the clock, not when nothing happens: a fork bomb is a flood of SIGCHLD. */
		if (watches && now_ms() - watched >= WATCH_MS) {
			watch(state);
			watched = now_ms();
		}
		struct pollfd ready[4] = {
			{ .fd = CONTROL_FD, .events = POLLIN },
			{ .fd = state->signals, .events = POLLIN },
			{ .fd = state->errors, .events = POLLIN },
			{ .fd = groups.wake, .events = POLLPRI },
		};
		const int count = poll(ready, 4, more_dead ? 0 : watches ? WATCH_MS : -1);
		if (count < 0 && errno != EINTR)
			put_an_end(state, REASON_PARENT);
		if (count > 0 && ready[2].revents)
			take_errors(state);
		if (more_dead || (count > 0 && ready[1].revents)) {
			struct signalfd_siginfo info;
			int status;
			(void)!read(state->signals, &info, sizeof(info));
			const enum reaped reaped = reap(state, &status);
			if (reaped == REAPED_COMMAND) {
				if (state->errors >= 0)
					take_errors(state);
				if (was_out_of_memory(&groups))
					state->reason = REASON_MEMORY;
				finish(state, status);
			}
			more_dead = reaped == REAPED_SOME;
		}
		if (count > 0 && ready[0].revents)
			take_control(state);
		/* The kernel has just refused a fork: that many processes are there now, however short they live. */
		if (count > 0 && ready[3].revents & POLLPRI) {
			take_wake(&groups);
			if (now_ms() - watched >= WAKE_MS) {
				watch(state);
				watched = now_ms();
			}
		}
	}
}

/* Runs as pid 1 of its own namespace where there is one, else as a subreaper: orphans come to it either way. */
static _Noreturn void run(void)
{
	int errors[2];
	if (!(namespaces_held & CLONE_NEWPID) && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		fail(STEP_FORK, -errno, 0);
	if (namespaces_held & CLONE_NEWNS) {
		int failed = make_read_only_view(&orders, namespaces_held & CLONE_NEWPID);
		if (failed)
			fail(STEP_MOUNTS, failed, 0);
	}
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	struct supervised state = { .signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK) };
	if (state.signals < 0 || pipe2(errors, O_CLOEXEC) < 0)
		fail(STEP_FORK, -errno, 0);
	/* Ahead of what it watches, where that is allowed: a fork bomb must not be able to crowd it out. */
	const int priority = getpriority(PRIO_PROCESS, 0);
	setpriority(PRIO_PROCESS, 0, priority - 10);
	const pid_t self = getpid();
	state.command = fork_into_group(&groups);
	if (state.command < 0)
		fail(groups.into < 0 ? STEP_FORK : STEP_GROUP, -errno, 0);
	if (state.command == 0) {
		setpriority(PRIO_PROCESS, 0, priority);
		become_command(&orders, &groups, errors[1], self);
	}
	close(errors[1]);
	/* The command's pipes must end when the command does. */
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	state.errors = errors[0];
	supervise(&state);
}

int main(void)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	/* Rights of the parent are in here: nobody attaches, reads its memory or gets its core. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	setsid();
	int failed = close_on_exec_from(CONTROL_FD + 1);
	if (failed < 0)
		fail(STEP_DESCRIPTORS, failed, 0);
	failed = read_orders(CONTROL_FD, &orders);
	if (failed)
		fail(STEP_ORDERS, failed, 0);
	failed = open_groups(&orders, &groups);
	if (failed)
		fail(STEP_GROUP, failed, 0);

	if (orders.namespaces) {
		failed = enter_namespaces(orders.namespaces);
		if (failed)
			fail(STEP_NAMESPACES, failed, 0);
		namespaces_held = orders.namespaces;
	}
	if (namespaces_held & CLONE_NEWPID) {
		const pid_t init = fork();
		if (init < 0)
			fail(STEP_FORK, -errno, 0);
		if (init > 0) {
			for (int fd = 0; fd <= CONTROL_FD; fd++)
				close(fd);
			while (waitpid(init, NULL, 0) < 0 && errno == EINTR)
				;
			_exit(0);
		}
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
			fail(STEP_FORK, -errno, 0);
	}
	run();
}
