/* The tree beneath the launcher: seen through /proc, since not every kernel has /proc/<pid>/task/<tid>/children. */
#define _GNU_SOURCE
#include "launcher.h"
#include "kernel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct process {
	pid_t pid;
	pid_t parent;
	uint64_t ticks;
};

/* PID_MAX_LIMIT of 64-bit kernels (linux/threads.h). */
enum { MOST_PROCESSES = 65536, MOST_PIDS = 4 * 1024 * 1024 };
static struct process processes[MOST_PROCESSES];
static uint8_t inside[MOST_PIDS / 8];

static bool is_inside(pid_t pid)
{
	return pid > 0 && pid < MOST_PIDS && inside[pid / 8] & 1 << pid % 8;
}

static ssize_t read_text(pid_t pid, const char *name, char *into, size_t size)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	owned_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t got = read(fd, into, size - 1);
	into[got > 0 ? got : 0] = 0;
	return got;
}

/* The command name in /proc/<pid>/stat is chosen by the process: it may hold spaces and brackets, so the fields are
 * counted from the last bracket. */
static bool read_process(pid_t pid, struct process *into)
{
	char text[1024], state;
	unsigned long user, system, children_user, children_system;
	if (read_text(pid, "stat", text, sizeof(text)) <= 0)
		return false;
	const char *fields = strrchr(text, ')');
	if (!fields || sscanf(fields + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu", &state,
			      &into->parent, &user, &system, &children_user, &children_system) != 6)
		return false;
	into->pid = pid;
	into->ticks = user + system + children_user + children_system;
	return true;
}

/* File-backed pages are shared with everybody who runs the same program: they are not the command's memory. */
static uint64_t memory_of(pid_t pid)
{
	char text[4096];
	uint64_t kilobytes = 0;
	if (read_text(pid, "status", text, sizeof(text)) <= 0)
		return 0;
	static const char *const lines[] = { "\nRssAnon:", "\nRssShmem:", "\nVmSwap:" };
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const char *line = strstr(text, lines[i]);
		if (line)
			kilobytes += strtoull(line + strlen(lines[i]), NULL, 10);
	}
	return kilobytes * 1024;
}

/* Marks what descends from `self`: its children, theirs, and so on until nothing is new. */
static size_t mark_descendants(size_t count, pid_t self)
{
	size_t found = 0;
	bool all = self == 1 && getpid() == 1; /* a /proc of our own pid namespace shows nothing else */
	for (bool grew = true; grew;) {
		grew = false;
		for (size_t i = 0; i < count; i++) {
			const struct process *at = &processes[i];
			if (at->pid == self || at->pid >= MOST_PIDS || is_inside(at->pid) ||
			    !(all || at->parent == self || is_inside(at->parent)))
				continue;
			inside[at->pid / 8] |= (uint8_t)(1 << at->pid % 8);
			grew = true;
			found++;
		}
	}
	return found;
}

static bool is_listed(size_t count, pid_t pid)
{
	for (size_t i = 0; i < count; i++)
		if (processes[i].pid == pid)
			return true;
	return false;
}

size_t walk_tree(int signal, struct tree_usage *usage)
{
	size_t count = 0, found;
	/* The /proc of another pid namespace numbers processes its own way; /proc/self says how it numbers us. */
	char link[32] = "";
	if (readlink("/proc/self", link, sizeof(link) - 1) <= 0)
		return 0;
	const pid_t self = atoi(link);
	const bool may_signal = self == getpid();
	DIR *proc = opendir("/proc");
	if (!proc)
		return 0;
	for (struct dirent *entry; (entry = readdir(proc)) && count < MOST_PROCESSES;)
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && read_process(atoi(entry->d_name), &processes[count]))
			count++;
	closedir(proc);
	/* A parent that died while the list was read has left its children to us: look at those once more. */
	for (size_t i = 0; i < count; i++)
		if (processes[i].parent != self && processes[i].parent != 0 && !is_listed(count, processes[i].parent))
			read_process(processes[i].pid, &processes[i]);
	found = mark_descendants(count, self);
	/* Beyond the limit on processes nothing else need be known, and reading it would take as long as they need to fork. */
	const bool details = usage && (!usage->most_pids || found <= usage->most_pids);
	const long hertz = sysconf(_SC_CLK_TCK);
	for (size_t i = 0; i < count; i++) {
		if (!is_inside(processes[i].pid))
			continue;
		if (signal && may_signal)
			kill(processes[i].pid, signal);
		if (details) {
			usage->memory_bytes += memory_of(processes[i].pid);
			usage->cpu_us += processes[i].ticks * 1000000 / (uint64_t)hertz;
		}
	}
	/* The bits are cleared one by one, so that only the pages in use are touched. */
	for (size_t i = 0; i < count; i++)
		if (processes[i].pid < MOST_PIDS)
			inside[processes[i].pid / 8] = 0;
	return found;
}

/* A chain whose every link forks and exits is gone from each pid by the time it is signalled there. But its next link is
 * our child, and numbers are handed out in order: it stands just behind the link that was reaped. */
static void kill_next_links(pid_t reaped)
{
	struct process next;
	for (pid_t pid = reaped + 1; pid <= reaped + 16; pid++)
		if (read_process(pid, &next) && next.parent == getpid())
			kill(pid, SIGKILL);
}

/* Bounded: while something still forks, the dead never end. */
static uint32_t reap_dead(pid_t *last)
{
	uint32_t reaped = 0;
	for (pid_t pid; reaped < 1024 && (pid = waitpid(-1, NULL, WNOHANG)) > 0; reaped++)
		*last = pid;
	return reaped;
}

static bool has_children(void)
{
	siginfo_t info;
	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

/* Where /proc is out of reach, inside another sandbox: a number is our child's if it can be waited for. One generation
 * at a time, which is enough, since the next becomes ours when this one has died. */
static void kill_children_by_number(void)
{
	for (pid_t pid = 2; pid < MOST_PIDS; pid++) {
		siginfo_t info;
		if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
			kill(pid, SIGKILL);
	}
}

bool can_see_tree(void)
{
	DIR *proc = opendir("/proc");
	if (!proc)
		return false;
	closedir(proc);
	struct process self;
	return read_process(getpid(), &self);
}

/* Without a pid namespace a fork bomb is stopped before it is killed: what is stopped does not fork, so the passes
 * converge, and then every member is killed at once. */
static void stop_and_kill(void)
{
	size_t before = 0, now = walk_tree(SIGSTOP, NULL);
	if (!now)
		kill_children_by_number();
	for (int pass = 0; now != before && pass < 16; pass++) {
		before = now;
		now = walk_tree(SIGSTOP, NULL);
	}
	walk_tree(SIGKILL, NULL);
}

uint32_t kill_tree(bool own_pid_namespace)
{
	uint32_t killed = 0;
	while (has_children()) {
		pid_t last = 0;
		if (own_pid_namespace)
			kill(-1, SIGKILL);
		else
			stop_and_kill();
		for (uint32_t reaped = 1; reaped;) {
			killed += reaped = reap_dead(&last);
			if (reaped && !own_pid_namespace)
				kill_next_links(last);
		}
		if (has_children())
			nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	}
	return killed;
}
