/* Makes the same calls as the pack and writes the buffers to standard output, so that
   they can be read on the other side of Wine:

     dump processes
     dump tcp|udp 4|6     with sockets of its own: the ports come first, as text
     dump changes DIR     of files that it makes, renames and removes in DIR */

#include "headers.h"
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <string.h>

static void fail(const char *what, unsigned long error)
{
    fprintf(stderr, "%s fails: %lu\n", what, error);
    exit(1);
}

static int processes(void)
{
    HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
    PROCESSENTRY32W entry = {.dwSize = sizeof entry};
    if (snapshot == INVALID_HANDLE_VALUE)
        fail("CreateToolhelp32Snapshot", GetLastError());
    for (BOOL more = Process32FirstW(snapshot, &entry); more; more = Process32NextW(snapshot, &entry))
        fwrite(&entry, sizeof entry, 1, stdout);
    return 0;
}

static int port_of(SOCKET socket)
{
    struct sockaddr_storage name;
    int size = sizeof name;
    getsockname(socket, (struct sockaddr *)&name, &size);
    return ntohs(((struct sockaddr_in *)&name)->sin_port);
}

static SOCKET bound(int family, int type)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    struct sockaddr_in four = {.sin_family = AF_INET};
    SOCKET made = socket(family, type, 0);
    four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    void *name = family == AF_INET ? (void *)&four : (void *)&six;
    if (bind(made, name, family == AF_INET ? sizeof four : sizeof six))
        fail("bind", WSAGetLastError());
    return made;
}

static void connect_to(SOCKET from, SOCKET to)
{
    struct sockaddr_storage name;
    int size = sizeof name;
    getsockname(to, (struct sockaddr *)&name, &size);
    if (connect(from, (struct sockaddr *)&name, size))
        fail("connect", WSAGetLastError());
}

static int sockets(int is_tcp, int family)
{
    static char table[1 << 20];
    DWORD size = sizeof table, error;
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
    SOCKET one = bound(family, is_tcp ? SOCK_STREAM : SOCK_DGRAM), two = INVALID_SOCKET;
    int ports[2] = {port_of(one), 0};
    if (is_tcp) {
        listen(one, 5);
        two = bound(family, SOCK_STREAM);
        connect_to(two, one);
        ports[1] = port_of(two);
        accept(one, NULL, NULL);
    }
    if (is_tcp)
        error = GetExtendedTcpTable(table, &size, FALSE, family, TCP_TABLE_OWNER_MODULE_ALL, 0);
    else
        error = GetExtendedUdpTable(table, &size, FALSE, family, UDP_TABLE_OWNER_MODULE, 0);
    if (error)
        fail("GetExtendedTable", error);
    printf("%d %d %lu\n", ports[0], ports[1], GetCurrentProcessId());
    fflush(stdout);
    fwrite(table, size, 1, stdout);
    return 0;
}

static void touch(const wchar_t *directory, const wchar_t *name, wchar_t *path)
{
    swprintf(path, MAX_PATH, L"%ls\\%ls", directory, name);
    HANDLE file = CreateFileW(path, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
    DWORD written;
    WriteFile(file, "x", 1, &written, NULL);
    CloseHandle(file);
}

static int changes(const wchar_t *directory)
{
    static DWORD buffer[1 << 14];
    wchar_t one[MAX_PATH], two[MAX_PATH];
    OVERLAPPED state = {.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL)};
    DWORD filter = FILE_NOTIFY_CHANGE_FILE_NAME | FILE_NOTIFY_CHANGE_LAST_WRITE, size;
    HANDLE handle = CreateFileW(directory, FILE_LIST_DIRECTORY, 7, NULL, OPEN_EXISTING,
                                FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OVERLAPPED, NULL);
    if (handle == INVALID_HANDLE_VALUE)
        fail("CreateFile", GetLastError());
    for (int step = 0; step < 3; step++) {
        ResetEvent(state.hEvent);
        if (!ReadDirectoryChangesW(handle, buffer, sizeof buffer, TRUE, filter, NULL, &state, NULL))
            fail("ReadDirectoryChangesW", GetLastError());
        if (step == 0)
            touch(directory, L"m\u00e4de.txt", one);
        if (step == 1) {
            swprintf(two, MAX_PATH, L"%ls\\renamed.txt", directory);
            MoveFileW(one, two);
        }
        if (step == 2)
            DeleteFileW(two);
        Sleep(300);
        while (WaitForSingleObject(state.hEvent, 300) == WAIT_OBJECT_0) {
            GetOverlappedResult(handle, &state, &size, FALSE);
            fwrite(&size, sizeof size, 1, stdout);
            fwrite(buffer, size, 1, stdout);
            ResetEvent(state.hEvent);
            ReadDirectoryChangesW(handle, buffer, sizeof buffer, TRUE, filter, NULL, &state, NULL);
        }
        CancelIo(handle);
        WaitForSingleObject(state.hEvent, 1000);
    }
    return 0;
}

int wmain(int argc, wchar_t **argv)
{
    _setmode(_fileno(stdout), _O_BINARY);
    if (argc == 2 && !wcscmp(argv[1], L"processes"))
        return processes();
    if (argc == 3 && !wcscmp(argv[1], L"changes"))
        return changes(argv[2]);
    if (argc == 3)
        return sockets(!wcscmp(argv[1], L"tcp"), argv[2][0] == L'6' ? AF_INET6 : AF_INET);
    return 2;
}
