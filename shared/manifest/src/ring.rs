//! The hash ring: 1,024 slots, epochs, groups (design §3).
