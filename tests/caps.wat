;; A tool with one operation, `run`, that answers {}. The test puts its own parts in place of the words in capitals.
(component
  ;;COMPONENT
  (core module $module
    ;;MODULE
    (memory $memory (export "memory") 1)
    (global $free (mut i32) (i32.const 4096))
    (data (memory $memory) (i32.const 1024) "run")
    (data (memory $memory) (i32.const 1040) "{}")
    ;; list<operation> with one element: at 1200 the list, at 1216 the element.
    (data (memory $memory) (i32.const 1200) "\c0\04\00\00\01\00\00\00")
    (data (memory $memory) (i32.const 1216)
      "\00\04\00\00\03\00\00\00"  ;; name
      "\00\04\00\00\03\00\00\00"  ;; description
      "\10\04\00\00\02\00\00\00"  ;; input-schema
      "\10\04\00\00\02\00\00\00") ;; output-schema
    ;; ok, then pointer and length of the text.
    (data (memory $memory) (i32.const 1264) "\00\00\00\00\10\04\00\00\02\00\00\00")
    (func (export "operations") (result i32)
      (i32.const 1200))
    (func (export "invoke") (param i32 i32 i32 i32) (result i32)
      ;;RUN
      (i32.const 1264))
    ;; Room for short arguments; takes nothing back.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $free)
      (global.set $free
        (i32.and (i32.add (i32.add (global.get $free) (local.get 3)) (i32.const 7)) (i32.const -8)))))
  (core instance $instance (instantiate $module ;;WITH
  ))
  (alias core export $instance "memory" (core memory $memory))
  (alias core export $instance "realloc" (core func $realloc))
  (type $operation (record
    (field "name" string) (field "description" string) (field "input-schema" string) (field "output-schema" string)))
  (type $error (record (field "code" string) (field "message" string)))
  (func $operations (result (list $operation))
    (canon lift (core func $instance "operations") (memory $memory)))
  (func $invoke (param "operation" string) (param "arguments" string) (result (result string (error $error)))
    (canon lift (core func $instance "invoke") (memory $memory) (realloc $realloc)))
  ;; Exported functions may speak of named types only.
  (component $named
    (type $any-operation (record
      (field "name" string) (field "description" string) (field "input-schema" string) (field "output-schema" string)))
    (type $any-error (record (field "code" string) (field "message" string)))
    (import "type-operation" (type $operation (eq $any-operation)))
    (import "type-error" (type $error (eq $any-error)))
    (import "func-operations" (func $operations (result (list $operation))))
    (import "func-invoke" (func $invoke
      (param "operation" string) (param "arguments" string) (result (result string (error $error)))))
    (export $operation-out "operation" (type $operation))
    (export $error-out "error" (type $error))
    (export "operations" (func $operations) (func (result (list $operation-out))))
    (export "invoke" (func $invoke) (func
      (param "operation" string) (param "arguments" string) (result (result string (error $error-out))))))
  (instance $tool (instantiate $named
    (with "type-operation" (type $operation))
    (with "type-error" (type $error))
    (with "func-operations" (func $operations))
    (with "func-invoke" (func $invoke))))
  (export "tollgate:tool/tool@0.1.0" (instance $tool)))
