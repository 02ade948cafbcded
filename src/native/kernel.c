#define _GNU_SOURCE
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <linux/securebits.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Distributions ship headers older than their kernel, so the interface is carried here: linux/landlock.h of ABI 7. */
struct ruleset_attr {
	uint64_t handled_access_fs;
	uint64_t handled_access_net;
	uint64_t scoped;
};
struct path_beneath_attr {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));
struct net_port_attr {
	uint64_t allowed_access;
	uint64_t port;
};
enum { CREATE_RULESET_VERSION = 1, RULE_PATH_BENEATH = 1, RULE_NET_PORT = 2 };

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

static int or_errno(long result)
{
	return result < 0 ? -errno : (int)result;
}

void close_owned(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

int landlock_abi(void)
{
	return or_errno(syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION));
}

/* An older kernel takes the longer structure as long as what it does not know is zero (E2BIG otherwise). */
int landlock_ruleset(uint64_t handled_fs, uint64_t handled_net, uint64_t scoped)
{
	const struct ruleset_attr attr = {
		.handled_access_fs = handled_fs,
		.handled_access_net = handled_net,
		.scoped = scoped,
	};
	return or_errno(syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0));
}

/* O_PATH: naming the file must not need, or count as, reading it. openat2 is older (5.6) than Landlock (5.13). */
int open_real(const char *path)
{
	static const char own[] = "/proc/self";
	const struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = strncmp(path, own, sizeof(own) - 1) == 0 ? 0 : RESOLVE_NO_SYMLINKS,
	};
	return or_errno(syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how)));
}

int landlock_allow_beneath(int ruleset, const char *path, uint64_t access)
{
	owned_fd parent = open_real(path);
	if (parent < 0)
		return parent;
	const struct path_beneath_attr rule = { .allowed_access = access, .parent_fd = parent };
	return or_errno(syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0));
}

int landlock_allow_port(int ruleset, uint64_t port, uint64_t access)
{
	const struct net_port_attr rule = { .allowed_access = access, .port = port };
	return or_errno(syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0));
}

int landlock_restrict(int ruleset, uint32_t flags)
{
	return or_errno(syscall(SYS_landlock_restrict_self, ruleset, flags));
}

int seccomp_install(const struct sock_filter *filter, uint16_t count, uint32_t flags)
{
	const struct sock_fprog program = { .len = count, .filter = (struct sock_filter *)filter };
	return or_errno(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program));
}

int forbid_new_privileges(void)
{
	return or_errno(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/* The bounding set and the securebits need CAP_SETPCAP. Without it they cannot be lowered, and need not be: under
 * no_new_privs an execve gains nothing. What counts is read back at the end: the three sets of this thread. */
int drop_capabilities(void)
{
	for (int capability = 0; capability <= 63; capability++)
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
			break;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
		SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
		SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED, 0, 0, 0);

	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0 };
	struct __user_cap_data_struct sets[2] = { { 0, 0, 0 }, { 0, 0, 0 } };
	if (syscall(SYS_capset, &header, sets) < 0)
		return -errno;
	if (syscall(SYS_capget, &header, sets) < 0)
		return -errno;
	for (int half = 0; half < 2; half++)
		if (sets[half].effective | sets[half].permitted | sets[half].inheritable)
			return -EPERM;
	return 0;
}

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

int close_on_exec_from(unsigned int lowest)
{
	return or_errno(syscall(SYS_close_range, lowest, ~0U, CLOSE_RANGE_CLOEXEC));
}

int set_limit(unsigned int resource, uint64_t soft, uint64_t hard)
{
	struct rlimit now;
	if (getrlimit(resource, &now) < 0)
		return -errno;
	/* Raising needs a privilege and is never wanted: the lower of the two holds. */
	const struct rlimit limit = {
		.rlim_cur = soft < now.rlim_max ? soft : now.rlim_max,
		.rlim_max = hard < now.rlim_max ? hard : now.rlim_max,
	};
	return or_errno(setrlimit(resource, &limit));
}
