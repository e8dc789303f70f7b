// Hashes a tree that is there (`/usr/lib`, or what an argument names), 20,000 files of 4 KiB and one of 2 GiB, both on
// the file system of `TMPDIR`, beside what else hashes, and checks what `b3sum` says of them. All is read once before,
// so that no disk is measured.
import { spawnSync } from "node:child_process"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { makeLarge, makeTree, readAll, sizeOf } from "./internal/trees.ts"
import { byTurns, type Command, fanout, isInstalled, print, removeDatabase, withFolder } from "./measure.ts"

const rounds = 5
const small = { folders: 200, filesInFolder: 100, sizeBytes: 4096 }
const largeBytes = 2 ** 31
type Algorithm = "blake3" | "sha256"

/** A program that takes names of files, run on all of them. */
const program = (name: string, files: string, ...args: ReadonlyArray<string>): Command => ({
  name,
  argv: ["sh", "-c", `find "$0" -type f -print0 | xargs -0 ${args.join(" ")}`, files]
})

const plainModule = fileURLToPath(new URL("./internal/plainHash.mjs", import.meta.url))

/** What is the least that Node can do: nothing but lists, calls and hashers, on as many threads. */
const plain = (threads: number, algorithm: Algorithm, root: string): Command => ({
  name: `plain Node, ${threads} thread${threads > 1 ? "s" : ""}`,
  argv: [process.execPath, plainModule, String(threads), algorithm, root]
})

const peerModule = fileURLToPath(new URL("./internal/hashPeer.mjs", import.meta.url))

const peer = (library: string, algorithm: Algorithm, root: string): Command => ({
  name: `${library}, 1 thread`,
  argv: [process.execPath, peerModule, library, algorithm, root]
})

const compare = (title: string, algorithm: Algorithm, root: string, db: string): void => {
  const own: Command = {
    name: "fanout hash",
    argv: [process.execPath, fanout, "hash", "--quiet", "--algo", algorithm, "--db", db, root]
  }
  const sum = algorithm === "blake3" ? "b3sum" : "sha256sum"
  const natives = !isInstalled(sum)
    ? []
    : algorithm === "blake3"
    ? [program(sum, root, sum), program("b3sum, 1 thread", root, sum, "--num-threads", "1")]
    : [program("sha256sum, 1 thread", root, sum), program("sha256sum, xargs -P2", root, "-n256", "-P2", sum)]
  const before = () => removeDatabase(db)
  console.log(`\n${title}, ${algorithm}${isInstalled(sum) ? "" : ` (${sum} is not installed)`}`)
  // Those take many times as long: once is enough.
  const slow = ["hash-wasm", "@noble/hashes"].map((library) => peer(library, algorithm, root))
  const least = [1, 2].map((threads) => plain(threads, algorithm, root))
  print([...byTurns(rounds, [own, ...natives, ...least], before), ...byTurns(1, slow)])
}

/** Checks what `b3sum` has written of a tree. */
const check = (title: string, root: string, folder: string, db: string): void => {
  if (!isInstalled("b3sum")) return
  const sums = path.join(folder, "sums")
  spawnSync("sh", ["-c", `find "$0" -type f -print0 | xargs -0 b3sum > "$1"`, root, sums])
  console.log(`\n${title}, checked`)
  print(byTurns(rounds, [
    {
      name: "fanout hash --check",
      argv: [process.execPath, fanout, "hash", "--quiet", "--db", db, "--check", sums]
    },
    { name: "b3sum --check", argv: ["b3sum", "--quiet", "--check", sums] }
  ], () => removeDatabase(db)))
}

await withFolder((folder) => {
  const tree = process.argv[2] ?? "/usr/lib"
  const { bytes, files } = sizeOf(tree)
  const db = path.join(folder, "jobs.db")
  const smallFiles = path.join(folder, "small")
  const largeFile = path.join(folder, "large")
  makeTree(smallFiles, small)
  makeLarge(largeFile, largeBytes)
  readAll(tree)
  const cases = [
    [`${tree}: ${files} files of ${(bytes / 2 ** 20).toFixed(0)} MiB`, tree],
    [`${small.folders * small.filesInFolder} files of ${small.sizeBytes / 1024} KiB`, smallFiles],
    [`one file of ${largeBytes / 2 ** 30} GiB`, largeFile]
  ] as const
  for (const [title, root] of cases) {
    for (const algorithm of ["blake3", "sha256"] as const) compare(title, algorithm, root, db)
    check(title, root, folder, db)
  }
})
