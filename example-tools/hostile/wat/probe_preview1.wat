;; What C programs and most older ones are: a core module of WASI preview 1, whose calls the preview-1 adapter makes those of
;; WASI 0.2. It asks for everything that a C library asks for when it starts, also when it is asked for its operations.
;;
;; `look` counts what is there to see: {"environment":0,"arguments":0,"stdin":0}, at most 9 of each. `print` writes a line to
;; standard output and answers {"errno":00}. `read` answers with the first five bytes of `a.txt` in the first folder, or with
;; the error. `exit` ends with the code 7.
(module
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fdstat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 2)

  ;; Where the next allocation starts, behind all static data.
  (global $free (mut i32) (i32.const 8192))

  (data (i32.const 1024) "lookprintreadexit")
  (data (i32.const 1056) "Does so.")
  (data (i32.const 1088) "{\22type\22: \22object\22}")
  (data (i32.const 1120) "{}")
  (data (i32.const 1136) "{\22environment\22:0,\22arguments\22:0,\22stdin\22:0}")
  (data (i32.const 1200) "{\22errno\22:00}")
  (data (i32.const 1232) "printed\0a")
  (data (i32.const 1248) "a.txt")
  (data (i32.const 1264) "\22.....\22")

  ;; list<operation>: at 1280 the list, at 1296 its four elements.
  (data (i32.const 1280) "\10\05\00\00\04\00\00\00")
  (data (i32.const 1296)
    "\00\04\00\00\04\00\00\00" "\20\04\00\00\08\00\00\00" "\40\04\00\00\12\00\00\00" "\60\04\00\00\02\00\00\00"
    "\04\04\00\00\05\00\00\00" "\20\04\00\00\08\00\00\00" "\40\04\00\00\12\00\00\00" "\60\04\00\00\02\00\00\00"
    "\09\04\00\00\04\00\00\00" "\20\04\00\00\08\00\00\00" "\40\04\00\00\12\00\00\00" "\60\04\00\00\02\00\00\00"
    "\0d\04\00\00\04\00\00\00" "\20\04\00\00\08\00\00\00" "\40\04\00\00\12\00\00\00" "\60\04\00\00\02\00\00\00")

  ;; At 2048 what a function of preview 1 gives, at 2064 an iovec, at 2304 what is read.

  (func (export "tollgate:tool/tool@0.1.0#operations") (result i32)
    (call $start)
    (i32.const 1280))

  ;; As a C library does: are the standard streams there, which folders, which variables and arguments? And scanf.
  (func $start
    (drop (call $fdstat (i32.const 0) (i32.const 2048)))
    (drop (call $fdstat (i32.const 1) (i32.const 2048)))
    (drop (call $fdstat (i32.const 2) (i32.const 2048)))
    (drop (call $prestat (i32.const 3) (i32.const 2048)))
    (drop (call $environ (i32.const 2048) (i32.const 2052)))
    (drop (call $args (i32.const 2048) (i32.const 2052)))
    (drop (call $take (i32.const 0) (i32.const 9))))

  ;; Reads up to $size bytes from a descriptor to 2304; how many came is at 2052.
  (func $take (param $fd i32) (param $size i32) (result i32)
    (i32.store (i32.const 2052) (i32.const 0))
    (i32.store (i32.const 2064) (i32.const 2304))
    (i32.store (i32.const 2068) (local.get $size))
    (call $read (local.get $fd) (i32.const 2064) (i32.const 1) (i32.const 2052)))

  ;; Operations are told by their first letter. The result is at 2080: ok, then pointer and length.
  (func (export "tollgate:tool/tool@0.1.0#invoke") (param $name i32) (param i32 i32 i32) (result i32)
    (local $letter i32)
    (local.set $letter (i32.load8_u (local.get $name)))
    (if (i32.eq (local.get $letter) (i32.const 0x6c)) (then (return (call $look))))
    (if (i32.eq (local.get $letter) (i32.const 0x70)) (then (return (call $print))))
    (if (i32.eq (local.get $letter) (i32.const 0x72)) (then (return (call $read_file))))
    (call $exit (i32.const 7))
    unreachable)

  (func $look (result i32)
    (drop (call $environ (i32.const 2048) (i32.const 2056)))
    (call $digit (i32.const 1151) (i32.load (i32.const 2048)))
    (drop (call $args (i32.const 2048) (i32.const 2056)))
    (call $digit (i32.const 1165) (i32.load (i32.const 2048)))
    (drop (call $take (i32.const 0) (i32.const 9)))
    (call $digit (i32.const 1175) (i32.load (i32.const 2052)))
    (call $answer (i32.const 1136) (i32.const 41)))

  (func $print (result i32)
    (i32.store (i32.const 2064) (i32.const 1232))
    (i32.store (i32.const 2068) (i32.const 8))
    (call $errno (call $write (i32.const 1) (i32.const 2064) (i32.const 1) (i32.const 2052))))

  (func $read_file (result i32)
    (local $errno i32)
    ;; Descriptor 3 is the first folder; the right is fd_read.
    (local.set $errno (call $open (i32.const 3) (i32.const 1) (i32.const 1248) (i32.const 5) (i32.const 0)
      (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 2048)))
    (if (local.get $errno) (then (return (call $errno (local.get $errno)))))
    (local.set $errno (call $take (i32.load (i32.const 2048)) (i32.const 5)))
    (if (local.get $errno) (then (return (call $errno (local.get $errno)))))
    (memory.copy (i32.const 1265) (i32.const 2304) (i32.const 5))
    (call $answer (i32.const 1264) (i32.const 7)))

  (func $errno (param $errno i32) (result i32)
    (call $digit (i32.const 1209) (i32.div_u (local.get $errno) (i32.const 10)))
    (call $digit (i32.const 1210) (i32.rem_u (local.get $errno) (i32.const 10)))
    ;; A number has no leading zero in JSON.
    (if (i32.lt_u (local.get $errno) (i32.const 10)) (then (i32.store8 (i32.const 1209) (i32.const 0x20))))
    (call $answer (i32.const 1200) (i32.const 12)))

  (func $digit (param $at i32) (param $number i32)
    (i32.store8 (local.get $at) (i32.add (i32.const 0x30) (local.get $number))))

  (func $answer (param $at i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 2080) (i32.const 0))
    (i32.store (i32.const 2084) (local.get $at))
    (i32.store (i32.const 2088) (local.get $length))
    (i32.const 2080))

  ;; Hands out memory and takes nothing back.
  (func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $free (i32.add (local.get $at) (local.get $size)))
    (block $fits
      (br_if $fits (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
      (drop (memory.grow (i32.add (i32.const 1) (i32.div_u (local.get $size) (i32.const 65536))))))
    (local.get $at)))
