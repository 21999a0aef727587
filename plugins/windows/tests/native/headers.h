/* The headers that declare what `_layouts.py` declares as well. */

#define _WIN32_WINNT 0x0A00
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#include <iphlpapi.h>
#include <tlhelp32.h>
#include <evntrace.h>
#include <evntcons.h>
