use tollgate_workspace::{Lab, guest};
#[test]
fn explore() {
    let out = r#"{"bytes": 300000}"#;
    let cases: Vec<(&str, &str, &str, Vec<&str>)> = vec![
        ("climb-dotdot", "attack", "{}", vec!["fs:/docs=docs:read,list"]),
        ("climb-symlink", "attack", "{}", vec!["fs:/docs=docs:read,list"]),
        ("climb-symlink", "plant", r#"{"path":"/docs/planted"}"#, vec!["fs:/docs=docs:read,list"]),
        ("read-env", "attack", "{}", vec![]),
        ("read-env", "var", "{}", vec![]),
        ("read-env", "args", "{}", vec![]),
        ("dial-out", "attack", "{}", vec![]),
        ("dial-out", "udp", "{}", vec![]),
        ("dial-out", "listen", "{}", vec![]),
        ("resolve-name", "attack", "{}", vec![]),
        ("eat-memory", "attack", "{}", vec![]),
        ("eat-memory", "until-refused", "{}", vec![]),
        ("grow-tables", "attack", "{}", vec![]),
        ("recurse", "attack", "{}", vec![]),
        ("recurse", "frames", "{}", vec![]),
        ("spin", "attack", "{}", vec!["limit:deadline=200ms", "limit:fuel=1000000000000"]),
        ("spin", "attack", "{}", vec!["limit:fuel=1000000"]),
        ("sleep-forever", "attack", "{}", vec!["clock:monotonic=real", "limit:deadline=200ms"]),
        ("flood-stdout", "attack", "{}", vec![]),
        ("flood-stdout", "stderr", "{}", vec![]),
        ("flood-stdout", "attack", r#"{"lines": 3}"#, vec!["stdio=stderr"]),
        ("open-handles", "attack", "{}", vec!["fs:/docs=docs:read"]),
        ("huge-random", "attack", "{}", vec!["random=secure"]),
        ("huge-random", "insecure", "{}", vec!["random=secure"]),
        ("overrun-quota", "stream", "{}", vec!["fs:/out=out:write,create"]),
        ("overrun-quota", "append", out, vec!["fs:/out=out:write,create"]),
        ("overrun-quota", "set-len", "{}", vec!["fs:/out=out:write,create"]),
        ("overrun-quota", "sparse", "{}", vec!["fs:/out=out:write,create"]),
        ("big-output", "attack", "{}", vec!["limit:memory=256MiB","limit:fuel=100000000000"]),
        ("panic", "attack", "{}", vec![]),
        ("exit", "attack", "{}", vec![]),
    ];
    for (name, op, args, grants) in cases {
        for go_on in [false, true] {
            let mut lab = Lab::new();
            lab.file("outside.txt", "secret");
            lab.file("docs/a.txt", "hello");
            lab.folder("out");
            std::os::unix::fs::symlink("../outside.txt", lab.path("docs/link")).unwrap();
            let g = guest(name);
            let mut set = lab.set(g, &grants);
            for fs in &mut set.fs { if fs.guest == "/out" { fs.write_quota = 100_000; } }
            if go_on { set.on_violation = tollgate_capability::OnViolation::Deny; }
            let tool = lab.tool_with(g, set).unwrap();
            let got = lab.call(&tool, op, args);
            println!("=== {name} {op} {args} deny={go_on}");
            match got {
                Ok(a) => println!("OK {} {:?} out={:?}", a.output, a.usage, a.streams.stdout.len()),
                Err(e) => println!("ERR {:?}\n    {}\n   {:?} stdio {} {}", e.error, e, e.usage, e.output.stdout.len(), e.output.stderr.len()),
            }
            let all = lab.entries();
            let start = all.iter().rposition(|e| matches!(e, tollgate_audit::Entry::Call(_))).unwrap();
            for e in all[start..].iter().take(12) { println!("   {e:?}"); }
            lab.verified();
        }
    }
}
