/* Makes processes or connections as fast as it can, for benchmarks and tests.

   burst exec N AT_A_TIME      execute N programs that end at once
   burst fork N AT_A_TIME      make N processes that end at once
   burst tcp N AT_A_TIME       N processes that each open and close one connection
   burst one                   the program that is executed
*/
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sockaddr_in address;

static int listening(void) {
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof address;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(server, (struct sockaddr *)&address, size) || listen(server, 4096) ||
        getsockname(server, (struct sockaddr *)&address, &size)) exit(3);
    return server;
}

static void serve(int server, int count) {
    while (count--) {
        int peer = accept(server, NULL, NULL);
        char byte;
        if (peer < 0) exit(4);
        while (read(peer, &byte, 1) > 0) {}
        close(peer);
    }
    exit(0);
}

static void connect_once(void) {
    struct linger reset = {1, 0};
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(client, (struct sockaddr *)&address, sizeof address)) _exit(5);
    /* A reset at the end leaves no TIME_WAIT, so that ports do not run out. */
    setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(client);
    _exit(0);
}

int main(int argc, char **argv) {
    if (argc < 4) return 0;
    const char *what = argv[1];
    int left = atoi(argv[2]), most = atoi(argv[3]), alive = 0, failed = 0, status;
    pid_t server = 0;
    if (!strcmp(what, "tcp")) {
        int socket = listening();
        server = fork();
        if (!server) serve(socket, left);
        close(socket);
    }
    while (left || alive) {
        while (left && alive < most) {
            pid_t child = fork();
            if (child < 0) return 2;
            if (!child) {
                if (!strcmp(what, "exec")) execl(argv[0], "burst", "one", argv[2], (char *)NULL);
                if (!strcmp(what, "tcp")) connect_once();
                _exit(0);
            }
            left--, alive++;
        }
        if (wait(&status) > 0) alive--, failed += status != 0;
    }
    if (server) waitpid(server, &status, 0);
    printf("%d\n", failed);
    return failed != 0;
}
