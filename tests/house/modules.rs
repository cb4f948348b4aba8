//! Which modules of a crate use which: read from the tokens of its sources, so that comments and strings are no uses, and what
//! stands inside a macro is one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A module's path below its crate: `["supervisor", "group"]`; the crate itself is empty.
pub(crate) type Module = Vec<String>;

/// The modules of one crate.
pub(crate) struct Modules {
    sources: BTreeMap<Module, Source>,
}

/// What one file says.
#[derive(Default)]
struct Source {
    /// Every path that begins with `crate`, `super`, `self` or the name of a module below, as it leads from the crate's root.
    paths: BTreeSet<Module>,
    /// Names that `use` brings into the module, and what they name.
    names: BTreeMap<String, Module>,
}

impl Modules {
    /// Reads all files below `src`; modules named `tests`, and what is for tests alone, are left out.
    pub(crate) fn read(src: &Path) -> Self {
        let mut files = BTreeMap::new();
        collect(src, &mut Module::new(), &mut files);
        let known: BTreeSet<Module> = files.keys().cloned().collect();
        let sources = files.iter().map(|(module, text)| (module.clone(), Source::read(module, text, &known))).collect();
        Self { sources }
    }

    /// Pairs of modules that stand side by side, of which the first uses the second: what `a::b` uses of `a::c::d` is a use of
    /// `a::c` by `a::b`, and what it uses of `a` is none.
    pub(crate) fn uses(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let mut uses: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
        for (module, source) in &self.sources {
            for path in &source.paths {
                let used = self.module_of(path);
                let shared = module.iter().zip(&used).take_while(|(ours, theirs)| ours == theirs).count();
                if let (Some(ours), Some(theirs)) = (module.get(..=shared), used.get(..=shared)) {
                    uses.entry(ours.to_vec()).or_default().insert(theirs.to_vec());
                }
            }
        }
        uses
    }

    /// The module in which the item of a path stands, through names that other modules hand on.
    fn module_of(&self, path: &[String]) -> Module {
        let mut path = path.to_vec();
        // A name that leads to itself ends.
        for _step in 0..8 {
            let inside = (0..=path.len()).rev().find(|length| self.sources.contains_key(&path[..*length])).unwrap_or(0);
            let (module, rest) = path.split_at(inside);
            let Some(handed_on) = rest.first().and_then(|name| self.sources[module].names.get(name)) else {
                return module.to_vec();
            };
            if *handed_on == path {
                return module.to_vec();
            }
            path = [handed_on, rest.get(1..).unwrap_or_default()].concat();
        }
        // A module and what it holds have one name, and each is handed on: the module it is.
        path.truncate(1);
        path
    }
}

/// Groups of modules of which each uses each other one, if only through others.
pub(crate) fn cycles(uses: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<Vec<String>> {
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        uses.keys().map(|from| (from, reached_from(from, uses))).collect();
    let groups: BTreeSet<Vec<String>> = reached
        .iter()
        .filter(|(from, all)| all.contains(*from))
        .map(|(from, all)| {
            let around = all.iter().filter(|other| reached.get(*other).is_some_and(|back| back.contains(from)));
            around.map(|module| module.join("::")).collect()
        })
        .collect();
    groups.into_iter().collect()
}

fn reached_from<'a>(from: &'a Module, uses: &'a BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<&'a Module> {
    let (mut reached, mut ahead) = (BTreeSet::new(), vec![from]);
    while let Some(module) = ahead.pop() {
        ahead.extend(uses.get(module).into_iter().flatten().filter(|used| reached.insert(*used)));
    }
    reached
}

/// The texts of all files below `folder`, without tests.
pub(crate) fn collect(folder: &Path, module: &mut Module, files: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        if name == "tests" {
            continue;
        }
        let is_folder = path.is_dir();
        let is_itself = !is_folder && (name == "mod" || module.is_empty() && ["lib", "main"].contains(&&*name));
        if !is_itself {
            module.push(name);
        }
        if is_folder {
            collect(&path, module, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.entry(module.clone()).or_default().push_str(&fs::read_to_string(&path).expect("a source"));
        }
        if !is_itself {
            module.pop();
        }
    }
}

impl Source {
    fn read(module: &Module, text: &str, known: &BTreeSet<Module>) -> Self {
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{}: {error}", module.join("::")));
        let mut source = Self::default();
        source.take(module, &flat(tokens), known);
        source
    }

    fn take(&mut self, module: &Module, tokens: &[TokenTree], known: &BTreeSet<Module>) {
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            if let Some(behind) = behind_what_is_for_tests(tokens, at) {
                at = behind;
                continue;
            }
            match token {
                TokenTree::Group(group) => {
                    self.take(module, &flat(group.stream()), known);
                    at += 1;
                }
                TokenTree::Ident(word) if word == "use" => at = self.take_use(module, tokens, at + 1, known),
                TokenTree::Ident(_) => {
                    let (path, behind) = path_at(tokens, at);
                    let is_part = at > 0 && is(tokens.get(at - 1), ':');
                    if !is_part && let Some(path) = from_root(module, &path, known) {
                        self.paths.insert(path);
                    }
                    at = behind.max(at + 1);
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => at += 1,
            }
        }
    }

    fn take_use(&mut self, module: &Module, tokens: &[TokenTree], at: usize, known: &BTreeSet<Module>) -> usize {
        let end = at + tokens[at..].iter().position(|token| is(Some(token), ';')).unwrap_or(tokens.len() - at);
        self.take_tree(module, &[], &tokens[at..end], known);
        end
    }

    /// One tree of a `use`: `a::b`, `a::{b, c::d}`, `a as b`, `a::*`.
    fn take_tree(&mut self, module: &Module, before: &[String], tree: &[TokenTree], known: &BTreeSet<Module>) {
        for one in tree.split(|token| is(Some(token), ',')) {
            let (path, behind) = path_at(one, 0);
            let path = [before, &path].concat();
            if let Some(TokenTree::Group(group)) = one.get(behind) {
                self.take_tree(module, &path, &flat(group.stream()), known);
                continue;
            }
            let ends_in_self = path.len() > 1 && path.last().is_some_and(|name| name == "self");
            let path = if ends_in_self { &path[..path.len() - 1] } else { &path[..] };
            let Some(rooted) = from_root(module, path, known) else { continue };
            let renamed =
                one.iter().skip_while(|token| !matches!(token, TokenTree::Ident(word) if word == "as")).nth(1);
            if let Some(name) = renamed.map(ToString::to_string).or_else(|| rooted.last().cloned()) {
                self.names.insert(name, rooted.clone());
            }
            self.paths.insert(rooted);
        }
    }
}

/// The tokens, without the invisible groups that macros make.
fn flat(tokens: TokenStream) -> Vec<TokenTree> {
    tokens
        .into_iter()
        .flat_map(|token| match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => flat(group.stream()),
            token @ (TokenTree::Group(_) | TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_)) => {
                vec![token]
            }
        })
        .collect()
}

/// Behind an item under `#[cfg(test)]`, if one begins here: to its `;` or its braces.
fn behind_what_is_for_tests(tokens: &[TokenTree], at: usize) -> Option<usize> {
    let TokenTree::Group(attribute) = tokens.get(at + 1)? else { return None };
    let written: String = attribute.stream().to_string().split_whitespace().collect();
    if !is(tokens.get(at), '#') || written != "cfg(test)" {
        return None;
    }
    let item = tokens.get(at + 2..)?;
    let last = item.iter().position(|token| {
        is(Some(token), ';') || matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
    });
    last.map(|last| at + 2 + last + 1)
}

/// The path that begins at a token, `a::b::c`, and where it ends, behind a last `::` too.
fn path_at(tokens: &[TokenTree], mut at: usize) -> (Module, usize) {
    let mut path = Module::new();
    while let Some(TokenTree::Ident(name)) = tokens.get(at) {
        path.push(name.to_string());
        at += 1;
        if !(is(tokens.get(at), ':') && is(tokens.get(at + 1), ':')) {
            break;
        }
        at += 2;
    }
    (path, at)
}

/// A path as it leads from the crate's root, if it leads into this crate.
fn from_root(module: &Module, path: &[String], known: &BTreeSet<Module>) -> Option<Module> {
    let (first, rest) = path.split_first()?;
    let child = || {
        let child = [&module[..], std::slice::from_ref(first)].concat();
        known.contains(&child).then_some(child)
    };
    let mut base = match &**first {
        "crate" => Module::new(),
        "self" => module.clone(),
        "super" => module.get(..module.len().checked_sub(1)?)?.to_vec(),
        _other => child()?,
    };
    for name in rest {
        if name == "super" {
            base.pop();
        } else {
            base.push(name.clone());
        }
    }
    Some(base)
}

fn is(token: Option<&TokenTree>, sign: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}

#[test]
fn uses_are_read_through_names_that_are_handed_on_and_not_from_tests() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    write("lib.rs", "mod a; mod b; mod c; pub use b::B;");
    write(
        "a.rs",
        "fn f() { let s = \"crate::c::C\"; /* crate::c */ crate::B::new() } #[cfg(test)] mod tests { use crate::c::C; }",
    );
    write("b.rs", "use super::c::{self, C as D}; pub struct B;");
    write("c.rs", "pub struct C; macro_rules! m { () => { $crate::a::f() } }");
    let uses = Modules::read(folder.path()).uses();
    let of = |name: &str| uses.get(&vec![name.to_owned()]).into_iter().flatten().map(|used| used.join("::")).collect();
    let [a, b, c]: [Vec<String>; 3] = ["a", "b", "c"].map(of);
    assert_eq!((&a[..], &b[..], &c[..]), (&["b".to_owned()][..], &["c".to_owned()][..], &["a".to_owned()][..]));
    assert_eq!(cycles(&uses), [["a", "b", "c"]]);
}
