// Verifies a Tollgate ledger with the Go checksum database's own code (golang.org/x/mod/sumdb/note and tlog): the
// checkpoint's signature, every entry against the tree, and consistency with an older checkpoint.
//
// Usage: main DIR KEY [OLD-CHECKPOINT]
//        main receipt FILE KEY
//
// The second verifies a receipt (C2SP tlog-proof): the checkpoint's signature, and the entry's place below its root.
package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// folder reads tile/8/<level>/<index>, as Go names tiles, from tile/<level>/<index>, as C2SP does.
type folder string

func (f folder) Height() int { return 8 }

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(string(f), path))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

// receipt verifies a proof in the form of C2SP tlog-proof, whose extra data is the entry.
func receipt(path, key string) {
	verifier, err := note.NewVerifier(key)
	check(err)
	text, err := os.ReadFile(path)
	check(err)
	head, signed, found := strings.Cut(string(text), "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		log.Fatalf("%s: no proof", path)
	}
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	check(err)
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	check(err)
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		bytes, err := base64.StdEncoding.DecodeString(line)
		check(err)
		var hash tlog.Hash
		if copy(hash[:], bytes) != sha256.Size {
			log.Fatalf("%s: a hash is too short", path)
		}
		proof = append(proof, hash)
	}
	tree := opened(path, []byte(signed), verifier)
	check(tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)))
	fmt.Printf("verified entry %d of %d\n", index, tree.N)
}

func checkpoint(path string, verifier note.Verifier) tlog.Tree {
	text, err := os.ReadFile(path)
	check(err)
	return opened(path, text, verifier)
}

// opened returns the tree of a checkpoint that verifier's key has signed.
func opened(path string, text []byte, verifier note.Verifier) tlog.Tree {
	opened, err := note.Open(text, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] != verifier.Name() {
		log.Fatalf("%s: not three lines under the key's name", path)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	check(err)
	tree := tlog.Tree{N: size}
	if copy(tree.Hash[:], root) != sha256.Size {
		log.Fatalf("%s: the root is too short", path)
	}
	return tree
}

// bundle returns the entries of a bundle of the tree.
func bundle(dir string, n int64, tree tlog.Tree) [][]byte {
	width := tree.N - n*256
	if width > 256 {
		width = 256
	}
	tile := tlog.Tile{H: 8, L: -1, N: n, W: int(width)}
	data, err := os.ReadFile(filepath.Join(dir, strings.Replace(tile.Path(), "tile/8/data/", "tile/entries/", 1)))
	check(err)
	var entries [][]byte
	for len(data) > 0 {
		length := int(binary.BigEndian.Uint16(data))
		entries = append(entries, data[2:2+length])
		data = data[2+length:]
	}
	if int64(len(entries)) != width {
		log.Fatalf("bundle %d has %d entries, not %d", n, len(entries), width)
	}
	return entries
}

func main() {
	log.SetFlags(0)
	if os.Args[1] == "receipt" {
		receipt(os.Args[2], os.Args[3])
		return
	}
	dir := os.Args[1]
	verifier, err := note.NewVerifier(os.Args[2])
	check(err)
	tree := checkpoint(filepath.Join(dir, "checkpoint"), verifier)
	// Hashes that it returns are proven to be in the tree.
	reader := tlog.TileHashReader(tree, folder(dir))
	for n := int64(0); n*256 < tree.N; n++ {
		entries := bundle(dir, n, tree)
		var indexes []int64
		for i := range entries {
			indexes = append(indexes, tlog.StoredHashIndex(0, n*256+int64(i)))
		}
		hashes, err := reader.ReadHashes(indexes)
		check(err)
		for i, entry := range entries {
			if hashes[i] != tlog.RecordHash(entry) {
				log.Fatalf("entry %d is not in the tree", n*256+int64(i))
			}
		}
		proof, err := tlog.ProveRecord(tree.N, n*256, reader)
		check(err)
		check(tlog.CheckRecord(proof, tree.N, tree.Hash, n*256, tlog.RecordHash(entries[0])))
	}
	if len(os.Args) > 3 {
		old := checkpoint(os.Args[3], verifier)
		proof, err := tlog.ProveTree(tree.N, old.N, reader)
		check(err)
		check(tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash))
	}
	fmt.Printf("verified %d entries\n", tree.N)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
