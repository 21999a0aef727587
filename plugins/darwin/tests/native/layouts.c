/* The structures of <sys/proc_info.h>, as public documentation describes them for
   64-bit macOS; `_libproc.py` must have the same sizes and offsets. */

#include <stdint.h>

struct proc_fdinfo {
    int32_t proc_fd;
    uint32_t proc_fdtype;
};

struct proc_bsdinfo {
    uint32_t pbi_flags, pbi_status, pbi_xstatus, pbi_pid, pbi_ppid;
    uint32_t pbi_uid, pbi_gid, pbi_ruid, pbi_rgid, pbi_svuid, pbi_svgid;
    uint32_t rfu_1;
    char pbi_comm[16];
    char pbi_name[32];
    uint32_t pbi_nfiles, pbi_pgid, pbi_pjobc, e_tdev, e_tpgid;
    int32_t pbi_nice;
    uint64_t pbi_start_tvsec, pbi_start_tvusec;
};

struct proc_fileinfo {
    uint32_t fi_openflags, fi_status;
    int64_t fi_offset;
    int32_t fi_type;
    uint32_t fi_guardflags;
};

struct vinfo_stat {
    uint32_t vst_dev;
    uint16_t vst_mode, vst_nlink;
    uint64_t vst_ino;
    uint32_t vst_uid, vst_gid;
    int64_t vst_times[8];
    int64_t vst_size, vst_blocks;
    int32_t vst_blksize;
    uint32_t vst_flags, vst_gen, vst_rdev;
    int64_t vst_qspare[2];
};

struct sockbuf_info {
    uint32_t sbi_cc, sbi_hiwat, sbi_mbcnt, sbi_mbmax, sbi_lowat;
    short sbi_flags, sbi_timeo;
};

struct in4in6_addr {
    uint32_t i46a_pad32[3];
    uint8_t i46a_addr4[4];
};

union ip_addr {
    struct in4in6_addr ina_46;
    uint8_t ina_6[16];
};

struct in_sock6 { /* has no name in the header */
    uint8_t in6_hlim;
    int in6_cksum;
    uint16_t in6_ifindex;
    short in6_hops;
};

struct in_sockinfo {
    int insi_fport, insi_lport;
    uint64_t insi_gencnt;
    uint32_t insi_flags, insi_flow;
    uint8_t insi_vflag, insi_ip_ttl;
    uint32_t rfu_1;
    union ip_addr insi_faddr, insi_laddr;
    struct {
        uint8_t in4_tos;
    } insi_v4;
    struct in_sock6 insi_v6;
};

struct tcp_sockinfo {
    struct in_sockinfo tcpsi_ini;
    int tcpsi_state, tcpsi_timer[4], tcpsi_mss;
    uint32_t tcpsi_flags, rfu_1;
    uint64_t tcpsi_tp;
};

struct un_sockinfo {
    uint64_t unsi_conn_so, unsi_conn_pcb;
    union {
        char ua_sun[106];
        char ua_dummy[255];
    } unsi_addr, unsi_caddr;
};

struct socket_info {
    struct vinfo_stat soi_stat;
    uint64_t soi_so, soi_pcb;
    int soi_type, soi_protocol, soi_family;
    short soi_options, soi_linger, soi_state, soi_qlen, soi_incqlen, soi_qlimit, soi_timeo;
    unsigned short soi_error;
    uint32_t soi_oobmark;
    struct sockbuf_info soi_rcv, soi_snd;
    int soi_kind;
    uint32_t rfu_1;
    union {
        struct in_sockinfo pri_in;
        struct tcp_sockinfo pri_tcp;
        struct un_sockinfo pri_un;
    } soi_proto;
};

struct socket_fdinfo {
    struct proc_fileinfo pfi;
    struct socket_info psi;
};
