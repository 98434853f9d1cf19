/* The floor: what the kernel asks of any program that reads files at an
 * interval and serves a page. One thread, one timer, no allocation.
 * Usage: floor PORT INTERVAL_MS FILE PAGE_BYTES [FILE…] */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static char page[1 << 16];
static size_t length, head;

static void poll_file(const char *file)
{
	char text[64];
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", file);
	ssize_t n = read(fd, text, sizeof text - 1);
	if (n < 0)
		err(1, "read");
	close(fd);
	text[n] = 0;
	int wrote = snprintf(page + head, 64, "sensor_temperature_celsius %.3f", atoi(text) / 1000.0);
	page[head + wrote] = '\n'; /* instead of the end of the string */
}

static void poll_sensors(char **argv)
{
	poll_file(argv[3]);
	for (char **more = argv + 5; *more; more++)
		poll_file(*more);
}

int main(int argc, char **argv)
{
	if (argc < 5)
		errx(2, "usage: floor PORT INTERVAL_MS FILE PAGE_BYTES [FILE...]");
	int size = atoi(argv[4]);
	head = sprintf(page, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", size);
	length = head + size;
	memset(page + head, '#', size);

	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (bind(listener, (void *)&at, sizeof at) || listen(listener, 16))
		err(1, "listen on port %s", argv[1]);

	long ms = atol(argv[2]);
	int timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	struct itimerspec every = {{ms / 1000, ms % 1000 * 1000000}, {ms / 1000, ms % 1000 * 1000000}};
	if (timer < 0 || timerfd_settime(timer, 0, &every, NULL))
		err(1, "timer");
	poll_sensors(argv);

	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event e = {.events = EPOLLIN};
	e.data.fd = listener;
	epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e);
	e.data.fd = timer;
	epoll_ctl(ep, EPOLL_CTL_ADD, timer, &e);
	for (;;) {
		if (epoll_wait(ep, &e, 1, -1) < 1)
			continue;
		if (e.data.fd == timer) {
			uint64_t expirations;
			if (read(timer, &expirations, sizeof expirations) > 0)
				poll_sensors(argv);
		} else if (e.data.fd == listener) {
			int c = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
			struct epoll_event in = {.events = EPOLLIN, .data.fd = c};
			epoll_ctl(ep, EPOLL_CTL_ADD, c, &in);
		} else {
			char request[8192];
			ssize_t n = read(e.data.fd, request, sizeof request);
			if (n <= 0)
				close(e.data.fd);
			else if (memmem(request, n, "\r\n\r\n", 4) && write(e.data.fd, page, length) < 0)
				close(e.data.fd);
		}
	}
}
