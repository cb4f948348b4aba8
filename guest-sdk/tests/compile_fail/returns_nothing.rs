use tollgate_guest::tool;

/// Greets someone.
#[tool]
fn greet(name: String) {
    drop(name);
}

fn main() {}
