;; Grows a table for ever: memory of the host that no linear memory accounts for.
;;
;; A core module of the world tollgate:tool/tool-provider, since Rust cannot write table.grow. `attack` answers with
;; the number of elements at which the table was refused to grow, such as {"elements":10000}.
(module
  (memory (export "memory") 1)
  (table $table 0 10000000 funcref) ;; at most 80 MB, where nothing else refuses it

  ;; How many elements each step asks for.
  (global $step i32 (i32.const 1000))

  ;; Where the next allocation starts, behind all static data.
  (global $free (mut i32) (i32.const 4096))

  (data (i32.const 1024) "attack")
  (data (i32.const 1040) "Grows a table until it is refused.")
  (data (i32.const 1088) "{\22type\22: \22object\22}")
  (data (i32.const 1120) "{}")
  (data (i32.const 1136) "{\22elements\22:")

  ;; list<operation> with one element: at 1200 the list, at 1216 the element.
  (data (i32.const 1200) "\c0\04\00\00\01\00\00\00")
  (data (i32.const 1216)
    "\00\04\00\00\06\00\00\00"  ;; name
    "\10\04\00\00\22\00\00\00"  ;; description
    "\40\04\00\00\12\00\00\00"  ;; input-schema
    "\60\04\00\00\02\00\00\00") ;; output-schema

  (func (export "tollgate:tool/tool@0.1.0#operations") (result i32)
    (i32.const 1200))

  ;; Whatever the operation's name is: there is only one. The result is at 1264: ok, then pointer and length.
  (func (export "tollgate:tool/tool@0.1.0#invoke") (param i32 i32 i32 i32) (result i32)
    (local $end i32)
    (block $refused
      (loop $grow
        (br_if $refused (i32.eq (table.grow $table (ref.null func) (global.get $step)) (i32.const -1)))
        (br $grow)))
    (local.set $end (call $print (i32.const 2048) (table.size $table)))
    (i32.store8 (i32.const 1264) (i32.const 0))
    (i32.store (i32.const 1268) (i32.const 2048))
    (i32.store (i32.const 1272) (i32.sub (local.get $end) (i32.const 2048)))
    (i32.const 1264))

  ;; Writes {"elements":$number} to $at and returns its end.
  (func $print (param $at i32) (param $number i32) (result i32)
    (local $digits i32)
    (local $rest i32)
    (memory.copy (local.get $at) (i32.const 1136) (i32.const 12))
    (local.set $at (i32.add (local.get $at) (i32.const 12)))
    ;; The number of digits, then the digits from the last.
    (local.set $rest (local.get $number))
    (loop $count
      (local.set $digits (i32.add (local.get $digits) (i32.const 1)))
      (local.set $rest (i32.div_u (local.get $rest) (i32.const 10)))
      (br_if $count (local.get $rest)))
    (local.set $at (i32.add (local.get $at) (local.get $digits)))
    (i32.store8 (local.get $at) (i32.const 0x7d)) ;; }
    (local.set $rest (local.get $at))
    (loop $write
      (local.set $rest (i32.sub (local.get $rest) (i32.const 1)))
      (i32.store8 (local.get $rest) (i32.add (i32.const 0x30) (i32.rem_u (local.get $number) (i32.const 10))))
      (local.set $number (i32.div_u (local.get $number) (i32.const 10)))
      (br_if $write (local.get $number)))
    (i32.add (local.get $at) (i32.const 1)))

  ;; Hands out memory for the arguments and takes nothing back.
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
