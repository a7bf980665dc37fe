/* The first process of a virtual machine, alone in its initramfs: it brings the kernel to the box's root, which the
 * host hands in over 9p, runs one program there, tells the host how that ended, and switches off.
 *
 * It finds: /modules/0, /modules/1 ... in the order in which they are loaded; /door, the program's words, and /env,
 * its environment, each word ended by a zero byte; /terminal where standard input is a terminal of the host.
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
	reboot(RB_AUTOBOOT); /* qemu was told not to start again: quicker than ACPI, and every kernel can */
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

/* The whole of a file, with a zero byte behind it. */
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

/* What a kernel has built in it refuses as a module that is there; what is really missing shows at the next step. */
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

/* A device of the host shows up a moment after its driver. */
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
	check(mkdir("/box", 0755), "/box");
	check(mount("box", "/box", "9p", 0, SHARE), "the root over 9p");
	check(mount("/dev", "/box/dev", "", MS_MOVE, ""), "/box/dev");
	check(chdir("/box"), "/box");
	/* A move and not a chroot alone: one who is in a chroot may not make user namespaces. */
	check(mount(".", "/", "", MS_MOVE, ""), "/");
	check(chroot("."), "/");
	check(chdir("/"), "/");
}

static void run(char **door, char **env, const int streams[3], int terminal)
{
	setsid();
	if (terminal)
		ioctl(streams[0], TIOCSCTTY, 0);
	for (int i = 0; i < 3; i++)
		check(dup2(streams[i], i), "standard streams");
	execve(door[0], door, env);
	fprintf(stderr, "gentoomuch: %s: %s\n", door[0], strerror(errno));
	_exit(70);
}

int main(void)
{
	check(mount("dev", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, ""), "/dev");
	load_modules();
	char **door = words("/door"), **env = words("/env");
	int terminal = !access("/terminal", F_OK);
	int told = device("/dev/vport0p3", O_WRONLY | O_CLOEXEC), in, out, err;
	if (terminal)
		in = out = err = device("/dev/hvc0", O_RDWR);
	else
		in = device("/dev/null", O_RDONLY), out = device("/dev/vport0p1", O_WRONLY),
		err = device("/dev/vport0p2", O_WRONLY);
	close(device("/dev/vda", O_RDONLY));
	if (swapon("/dev/vda", SWAP_FLAG_DISCARD) < 0)
		perror("gentoomuch: swap"); /* a kernel that has none: then memory is all there is */
	enter_root();
	int status, buried, number = fork();
	check(number, "fork");
	if (!number)
		run(door, env, (const int[3]){in, out, err}, terminal);
	while ((buried = wait(&status)) != number)
		check(buried < 0 && errno != EINTR ? -1 : 0, "wait");
	sync(); /* what was written is on the host before the host hears of an end */
	dprintf(told, "%d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	off();
}
