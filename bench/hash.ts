// Hashes a tree that is there (`/usr/lib`, or what an argument names), 20,000 files of 4 KiB and one of 2 GiB, both on
// the file system of `TMPDIR`, beside what else hashes. All is read once before, so that no disk is measured.
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { byTurns, type Command, fanout, isInstalled, print, withFolder } from "./measure.ts"

const rounds = 5
const small = { folders: 200, filesInFolder: 100, bytes: 4096 }
const large = { chunks: 128, chunkBytes: 2 ** 24 }
type Algorithm = "blake3" | "sha256"

/** Files in a folder. `recursive` of `readdirSync` goes through links. */
const filesIn = (folder: string): ReadonlyArray<string> =>
  fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name)
    return entry.isDirectory() ? filesIn(file) : entry.isFile() ? [file] : []
  })

/** Content that is the same each time, and has no pattern. */
const noise = (bytes: number): Buffer => {
  const words = new Uint32Array(bytes / 4)
  let state = 1
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[i] = state
  }
  return Buffer.from(words.buffer)
}

const makeSmall = (root: string): void => {
  const content = noise(small.bytes * 256)
  for (let i = 0; i < small.folders; i++) {
    const folder = path.join(root, `folder-${i}`)
    fs.mkdirSync(folder, { recursive: true })
    for (let j = 0; j < small.filesInFolder; j++) {
      const at = (i * small.filesInFolder + j) % 256 * small.bytes
      fs.writeFileSync(path.join(folder, `file-${j}`), content.subarray(at, at + small.bytes))
    }
  }
}

const makeLarge = (file: string): void => {
  const content = noise(large.chunkBytes)
  for (let i = 0; i < large.chunks; i++) fs.appendFileSync(file, content)
}

/** A program that takes names of files, run on all of them. */
const program = (name: string, files: string, ...args: ReadonlyArray<string>): Command => ({
  name,
  argv: ["sh", "-c", `find "$0" -type f -print0 | xargs -0 ${args.join(" ")}`, files]
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
  const before = () => {
    for (const suffix of ["", "-wal", "-shm"]) fs.rmSync(db + suffix, { force: true })
  }
  console.log(`\n${title}, ${algorithm}${isInstalled(sum) ? "" : ` (${sum} is not installed)`}`)
  // Those take many times as long: once is enough.
  const slow = ["hash-wasm", "@noble/hashes"].map((library) => peer(library, algorithm, root))
  print([...byTurns(rounds, [own, ...natives], before), ...byTurns(1, slow)])
}

await withFolder((folder) => {
  const tree = process.argv[2] ?? "/usr/lib"
  const files = filesIn(tree)
  let bytes = 0
  for (const file of files) bytes += fs.statSync(file).size
  const db = path.join(folder, "jobs.db")
  const smallFiles = path.join(folder, "small")
  const largeFile = path.join(folder, "large")
  makeSmall(smallFiles)
  makeLarge(largeFile)
  // Into the page cache.
  spawnSync("sh", ["-c", `find "$0" -type f -print0 | xargs -0 cat > /dev/null`, tree])
  const cases = [
    [`${tree}: ${files.length} files of ${(bytes / 2 ** 20).toFixed(0)} MiB`, tree],
    [`${small.folders * small.filesInFolder} files of ${small.bytes / 1024} KiB`, smallFiles],
    [`one file of ${large.chunks * large.chunkBytes / 2 ** 30} GiB`, largeFile]
  ] as const
  for (const [title, root] of cases) {
    for (const algorithm of ["blake3", "sha256"] as const) compare(title, algorithm, root, db)
  }
})
