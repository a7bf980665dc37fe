/* The first process of a virtual machine, and the only program of its initramfs: it mounts the root of the container,
 * which the host shares over 9p, runs one program there, reports its exit status to the host, and switches off.
 *
 * Its input: /modules/0, /modules/1 ... in the order in which they are loaded; /argv, the command line of the program,
 * and /env, its environment, each word ended by a zero byte; /terminal if standard input is a terminal of the host.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST 1024
#define SHARE "trans=virtio,version=9p2000.L,cache=loose,msize=512000"

static void off(void)
{
	sync();
	reboot(RB_AUTOBOOT); /* qemu has the option -no-reboot: faster than ACPI, and works with each kernel */
	for (;;)
		pause();
}

static void check(int done, const char *what)
{
	if (done < 0) {
		fprintf(stderr, "gentoomuch: %s: %s\n", what, strerror(errno));
		off();
	}
}

/* Read a file, and add a zero byte. */
static char *whole(const char *path, size_t *size)
{
	struct stat seen;
	int number = open(path, O_RDONLY | O_CLOEXEC);
	check(number, path);
	check(fstat(number, &seen), path);
	char *text = calloc(1, seen.st_size + 1);
	check(text ? 0 : -1, path);
	*size = 0;
	for (ssize_t got; (got = read(number, text + *size, seen.st_size - *size)) > 0; *size += got)
		;
	close(number);
	return text;
}

static char **words(const char *path)
{
	static char *found[2][MOST + 1];
	static int used;
	char **into = found[used++];
	size_t size, count = 0;
	char *text = whole(path, &size);
	for (char *at = text; at < text + size && count < MOST; at += strlen(at) + 1)
		into[count++] = at;
	return into;
}

/* A kernel rejects a module that it has built in with EEXIST. A missing driver lets the next step fail. */
static void load_modules(void)
{
	char path[32];
	for (int i = 0; snprintf(path, sizeof path, "/modules/%d", i), !access(path, R_OK); i++) {
		size_t size;
		char *image = whole(path, &size);
		if (syscall(SYS_init_module, image, size, "") < 0 && errno != EEXIST)
			fprintf(stderr, "gentoomuch: %s: %s\n", path, strerror(errno));
		free(image);
	}
}

/* Open a device of the host, which appears a moment after its driver is loaded. */
static int device(const char *path, int flags)
{
	int number = -1;
	for (int i = 0; i < 500 && (number = open(path, flags | O_NOCTTY)) < 0; i++)
		usleep(10000);
	check(number, path);
	return number;
}

static void enter_root(void)
{
	if (mkdir("/root", 0755) < 0 && errno != EEXIST) /* most kernels have it in the initramfs that is built in */
		check(-1, "/root");
	check(mount("root", "/root", "9p", 0, SHARE), "the root over 9p");
	check(mount("/dev", "/root/dev", "", MS_MOVE, ""), "/root/dev");
	check(chdir("/root"), "/root");
	/* A chroot alone is not enough: a process in a chroot may not create user namespaces. */
	check(mount(".", "/", "", MS_MOVE, ""), "/");
	check(chroot("."), "/");
	check(chdir("/"), "/");
}

static void run(char **argv, char **env, const int streams[3], int terminal)
{
	setsid();
	if (terminal)
		ioctl(streams[0], TIOCSCTTY, 0);
	for (int i = 0; i < 3; i++)
		check(dup2(streams[i], i), "standard streams");
	execve(argv[0], argv, env);
	fprintf(stderr, "gentoomuch: %s: %s\n", argv[0], strerror(errno));
	_exit(70);
}

int main(void)
{
	check(mount("dev", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, ""), "/dev");
	load_modules();
	char **argv = words("/argv"), **env = words("/env");
	int terminal = !access("/terminal", F_OK);
	int report = device("/dev/vport0p3", O_WRONLY | O_CLOEXEC), in, out, err;
	if (terminal)
		in = out = err = device("/dev/hvc0", O_RDWR);
	else
		in = device("/dev/null", O_RDONLY), out = device("/dev/vport0p1", O_WRONLY),
		err = device("/dev/vport0p2", O_WRONLY);
	close(device("/dev/vda", O_RDONLY));
	if (swapon("/dev/vda", SWAP_FLAG_DISCARD) < 0)
		perror("gentoomuch: swap"); /* a kernel without swap: the machine has only its memory */
	enter_root();
	int status, reaped, number = fork();
	check(number, "fork");
	if (!number)
		run(argv, env, (const int[3]){in, out, err}, terminal);
	while ((reaped = wait(&status)) != number)
		check(reaped < 0 && errno != EINTR ? -1 : 0, "wait");
	sync(); /* all files are on the host before it reads the status */
	dprintf(report, "%d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	off();
}
