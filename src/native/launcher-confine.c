/* The layers, in the order in which they must be put on. */
#define _GNU_SOURCE
#include "kernel.h"
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/filter.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int write_file(const char *path, const char *text)
{
	owned_fd fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* One line that maps the id to itself is what an unprivileged process may write (user_namespaces(7)). */
static int map_identity(uid_t uid, gid_t gid)
{
	char line[64];
	int failed = write_file("/proc/self/setgroups", "deny");
	if (failed)
		return failed;
	snprintf(line, sizeof(line), "%u %u 1", uid, uid);
	failed = write_file("/proc/self/uid_map", line);
	if (failed)
		return failed;
	snprintf(line, sizeof(line), "%u %u 1", gid, gid);
	return write_file("/proc/self/gid_map", line);
}

int enter_namespaces(uint32_t flags)
{
	const uid_t uid = getuid();
	const gid_t gid = getgid();
	if (unshare((int)flags) < 0)
		return -errno;
	if (!(flags & CLONE_NEWUSER))
		return 0;
	/* /proc/self of a process that is not dumpable belongs to root, and an unprivileged one could not write there. */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	const int failed = map_identity(uid, gid);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return failed;
}

#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#endif
struct mount_attributes {
	uint64_t set, clear, propagation, userns_fd;
};
enum { ATTRIBUTE_READ_ONLY = 1, ATTRIBUTE_NO_SUID = 2, MOVE_FROM_EMPTY_PATH = 4, MOVE_TO_EMPTY_PATH = 0x40 };

static int clone_tree(int place)
{
	return (int)syscall(SYS_open_tree, place, "",
			    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
}

static int put_tree(int tree, int place, uint64_t attributes)
{
	const struct mount_attributes set = { .set = attributes };
	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &set, sizeof(set)) < 0)
		return -errno;
	if (syscall(SYS_move_mount, tree, "", place, "", MOVE_FROM_EMPTY_PATH | MOVE_TO_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

/* Beneath, by whole components, and not the same. */
static bool lies_beneath(const char *path, const char *folder)
{
	const size_t length = strlen(folder);
	return !strncmp(path, folder, length) && path[length] == '/';
}

/* Beneath a writable place, and with none inside: elsewhere all is read-only as it is, and the work goes on. */
static const char *writable_around(const struct orders *orders, const char *path)
{
	const char *around = NULL;
	for (size_t i = 0; i < orders->writable_count; i++) {
		if (!strcmp(orders->writable[i], path) || lies_beneath(orders->writable[i], path))
			return NULL;
		if (lies_beneath(path, orders->writable[i]))
			around = orders->writable[i];
	}
	return around;
}

/* A mount on itself: the folder cannot be renamed or removed any more. False when it is not there. */
static bool pin(const char *path, uint64_t attributes)
{
	owned_fd place = open_real(path);
	if (place < 0)
		return false;
	owned_fd tree = clone_tree(place);
	return tree >= 0 && put_tree(tree, place, attributes) == 0;
}

/* A folder above that could be renamed would make room for another of the same path. What cannot be kept (not there, or
 * not any more what it was) is not worth a run without all the other mounts: a command that runs beside this one could
 * choose the moment. */
static void keep_read_only(const struct orders *orders, const char *path)
{
	char above[PATH_MAX];
	const char *around = writable_around(orders, path);
	if (!around || strlen(path) >= sizeof(above))
		return;
	strcpy(above, path);
	for (char *end = above + strlen(around) + 1; (end = strchr(end, '/')); *end++ = '/') {
		*end = '\0';
		if (!pin(above, ATTRIBUTE_NO_SUID))
			return;
	}
	(void)pin(path, ATTRIBUTE_READ_ONLY | ATTRIBUTE_NO_SUID);
}

/* Everything read-only except clones of the writable places: this is what makes chmod, chown, utimes and xattrs fail
 * outside them, which no version of Landlock covers. Kernels before 5.12 have no recursive mount_setattr. */
int make_read_only_view(const struct orders *orders, bool own_pid_namespace)
{
	int places[64], trees[64];
	if (orders->writable_count > sizeof(trees) / sizeof(trees[0]))
		return -E2BIG;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	for (size_t i = 0; i < orders->writable_count; i++) {
		places[i] = open_real(orders->writable[i]);
		if (places[i] < 0)
			return places[i];
		trees[i] = clone_tree(places[i]);
		if (trees[i] < 0)
			return -errno;
	}
	const struct mount_attributes read_only = { .set = ATTRIBUTE_READ_ONLY | ATTRIBUTE_NO_SUID };
	if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &read_only, sizeof(read_only)) < 0)
		return -errno;
	for (size_t i = 0; i < orders->writable_count; i++) {
		const int failed = put_tree(trees[i], places[i], ATTRIBUTE_NO_SUID);
		if (failed < 0)
			return failed;
		close(trees[i]);
		close(places[i]);
	}
	for (size_t i = 0; i < orders->read_only_count; i++)
		keep_read_only(orders, orders->read_only[i]);
	if (own_pid_namespace &&
	    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL) < 0)
		return -errno;
	return 0;
}

/* Paths are opened after the mounts: a rule holds for the file it was made on, in the view where it was opened. And in
 * the process of the command itself, so that /proc/self is its own. A descriptor, or -errno with what failed. */
static int build_ruleset(const struct orders *orders, enum step *step, uint32_t *index)
{
	int failed;
	owned_fd ruleset = landlock_ruleset(orders->handled_fs, orders->handled_net, orders->scoped);
	*index = 0;
	*step = STEP_RULESET;
	if (ruleset < 0)
		return ruleset;
	*step = STEP_PATH;
	for (; *index < orders->path_count; ++*index)
		if ((failed = landlock_allow_beneath(ruleset, orders->paths[*index].path, orders->paths[*index].access)))
			return failed;
	*index = 0;
	*step = STEP_PORT;
	for (; *index < orders->port_count; ++*index)
		if ((failed = landlock_allow_port(ruleset, orders->ports[*index].port, orders->ports[*index].access)))
			return failed;
	const int built = ruleset;
	ruleset = -1;
	return built;
}

static int change_identity(const struct orders *orders)
{
	if (!orders->has_identity)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(orders->gid, orders->gid, orders->gid) < 0 ||
	    setresuid(orders->uid, orders->uid, orders->uid) < 0)
		return -errno;
	return 0;
}

/* Copies `size` bytes to the exact address that the filter compares execve's argument with. */
static void *place(uint64_t address, const void *from, size_t size)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	const uint64_t start = address & ~(page - 1);
	void *mapped = mmap((void *)start, address - start + size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (mapped != (void *)start)
		return NULL;
	return memcpy((void *)address, from, size);
}

static _Noreturn void step_failed(int errors, enum step step, int error, uint32_t index)
{
	const struct step_failure failure = { .step = (int32_t)step, .error = -error, .index = index };
	(void)!write(errors, &failure, sizeof(failure));
	_exit(EXIT_LAUNCH);
}

/* The first process of the command. `errors` closes by itself when the program has been started. */
void become_command(const struct orders *orders, const struct groups *groups, int errors, pid_t supervisor)
{
	int failed;
	enum step step;
	uint32_t index;
	close(CONTROL_FD);
	if ((failed = join_groups(orders, groups)) < 0)
		step_failed(errors, STEP_GROUP, failed, 0);
	if (setsid() < 0)
		step_failed(errors, STEP_SESSION, -errno, 0);
	if ((failed = close_on_exec_from(3)) < 0)
		step_failed(errors, STEP_DESCRIPTORS, failed, 0);
	for (size_t i = 0; i < orders->limit_count; i++)
		if ((failed = set_limit(orders->limits[i].resource, orders->limits[i].soft, orders->limits[i].hard)) < 0)
			step_failed(errors, STEP_LIMITS, failed, 0);
	/* 1, not 0: a core_pattern that is a pipe ignores every other limit (core(5), fs/coredump.c). */
	if ((failed = set_limit(RLIMIT_CORE, 1, 1)) < 0)
		step_failed(errors, STEP_LIMITS, failed, 0);
	/* Where the machine runs out of memory, the command goes before its parent. Best effort: a missing /proc is no reason. */
	(void)write_file("/proc/self/oom_score_adj", "500");
	/* Before the identity changes: folders on the way to a granted one may be closed to it. */
	owned_fd ruleset = build_ruleset(orders, &step, &index);
	if (ruleset < 0)
		step_failed(errors, step, ruleset, index);
	if ((failed = change_identity(orders)) < 0)
		step_failed(errors, STEP_IDENTITY, failed, 0);
	if ((failed = drop_capabilities()) < 0)
		step_failed(errors, STEP_CAPABILITIES, failed, 0);
	if ((failed = forbid_new_privileges()) < 0)
		step_failed(errors, STEP_PRIVILEGES, failed, 0);
	/* After the change of identity, which clears it; and the supervisor may have died before it was set. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != supervisor)
		step_failed(errors, STEP_SESSION, -ESRCH, 0);
	if (chdir(orders->directory) < 0)
		step_failed(errors, STEP_DIRECTORY, -errno, 0);

	const char *program = orders->program;
	char **arguments = orders->arguments, **environment = orders->environment;
	if (orders->exec_at[0]) {
		program = place(orders->exec_at[0], program, strlen(program) + 1);
		arguments = place(orders->exec_at[1], arguments, (orders->argument_count + 1) * sizeof(char *));
		environment = place(orders->exec_at[2], environment, (orders->environment_count + 1) * sizeof(char *));
		if (!program || !arguments || !environment)
			step_failed(errors, STEP_EXEC, -EFAULT, 0);
	}

	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if ((failed = landlock_restrict(ruleset, 0)) < 0)
		step_failed(errors, STEP_LANDLOCK, failed, 0);
	failed = seccomp_install(orders->filter, (uint16_t)(orders->filter_bytes / sizeof(struct sock_filter)), 0);
	if (failed)
		step_failed(errors, STEP_SECCOMP, failed < 0 ? failed : -ESRCH, 0);
	execve(program, arguments, environment);
	step_failed(errors, STEP_EXEC, -errno, 0);
}

