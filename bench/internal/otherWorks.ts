// Rows of `copy` in which something else is done than to copy a tree.
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { type Command, fanout, isInstalled, removeDatabase } from "../measure.ts"
import type { Contest, Entrant } from "./contest.ts"
import type { Place } from "./newFileSystem.ts"
import { checkCopy } from "./sameTree.ts"
import { duplicate, sync } from "./trees.ts"

const commandOf = (db: string, name: string, ...args: ReadonlyArray<string>): Command => ({
  name: `fanout ${name}`,
  argv: [process.execPath, fanout, name, "--quiet", "--db", db, ...args]
})

/** Something is not to be left by a command. */
const checkGone = (name: string, file: string): void => {
  if (fs.existsSync(file)) throw new Error(`${name} left something`)
}

/** Moves a tree to another file system. */
export const moving = (here: Place, there: Place, tree: string): Contest => {
  const [db, root] = [path.join(here.folder, "jobs.db"), path.join(here.folder, "root")]
  const moved = path.join(there.folder, "moved")
  const after = (name: string) => () => {
    checkCopy(name, tree, moved, "everything")
    checkGone(name, root)
  }
  return {
    entrants: [
      { ...commandOf(db, "move", "-T", root, moved), after: after("fanout move") },
      { name: "mv", argv: ["mv", root, moved], after: after("mv") }
    ],
    pairs: [["fanout move", "mv", 0.9]],
    before: () => {
      removeDatabase(db)
      fs.rmSync(moved, { recursive: true, force: true })
      duplicate(tree, root)
      sync(here.folder)
      sync(there.folder)
    }
  }
}

export const deleting = ({ folder }: Place, tree: string): Contest => {
  const [db, root] = [path.join(folder, "jobs.db"), path.join(folder, "root")]
  const script = "require('node:fs').rmSync(process.argv[1], { recursive: true })"
  const after = (name: string) => () => checkGone(name, root)
  return {
    entrants: [
      { ...commandOf(db, "delete", root), after: after("fanout delete") },
      { name: "rm -r", argv: ["rm", "-r", root], after: after("rm -r") },
      { name: "fs.rmSync", argv: [process.execPath, "-e", script, root], isLimit: true, after: after("fs.rmSync") }
    ],
    pairs: [["fanout delete", "rm -r", 1.3], ["fanout delete", "fs.rmSync", 0]],
    before: () => {
      removeDatabase(db)
      duplicate(tree, root)
      sync(folder)
    }
  }
}

/** Compares a tree with what `cp -a` made of it. */
export const verifying = ({ folder }: Place, tree: string): Contest => {
  const [db, copy] = [path.join(folder, "jobs.db"), path.join(folder, "copy")]
  duplicate(tree, copy)
  return {
    entrants: [
      commandOf(db, "verify", tree, copy),
      { name: "diff -r", argv: ["diff", "-r", "--no-dereference", tree, copy] }
    ],
    pairs: [["fanout verify", "diff -r", 1.3]],
    before: () => removeDatabase(db)
  }
}

/** Copies one small file, the start of the command included. */
export const copyingOne = ({ folder }: Place): Contest => {
  const [db, file, copy] = [path.join(folder, "jobs.db"), path.join(folder, "file"), path.join(folder, "copy")]
  fs.writeFileSync(file, "content")
  return {
    entrants: [commandOf(db, "copy", "-T", file, copy), { name: "node -e 0", argv: [process.execPath, "-e", "0"] }],
    pairs: [["fanout copy", "node -e 0", 0]],
    targetMillis: 70,
    rounds: 21,
    before: () => {
      removeDatabase(db)
      fs.rmSync(copy, { force: true })
    }
  }
}

type Algorithm = "blake3" | "sha256"
const sums = { blake3: "b3sum", sha256: "sha256sum" } as const

/** A program that takes names of files, run on all of a tree. */
const onAll = (name: string, tree: string, needs: string, ...args: ReadonlyArray<string>): Entrant => ({
  name,
  argv: ["sh", "-c", `find "$0" -type f -print0 | xargs -0 ${args.join(" ")}`, tree],
  needs
})

const plainModule = fileURLToPath(new URL("./plainHash.mjs", import.meta.url))
const peerModule = fileURLToPath(new URL("./hashPeer.mjs", import.meta.url))

/** Hashes a tree or a file; the target is how many times as fast as `b3sum` or `sha256sum` that should be. */
export const hashing = ({ folder }: Place, tree: string, algorithm: Algorithm, target: number): Contest => {
  const db = path.join(folder, "jobs.db")
  const sum = sums[algorithm]
  const byModule = (...args: ReadonlyArray<string>) => [process.execPath, ...args, algorithm, tree] as const
  const others: ReadonlyArray<Entrant> = [
    ...algorithm === "blake3"
      ? [onAll("b3sum", tree, sum, sum), onAll("b3sum, 1 thread", tree, sum, sum, "--num-threads", "1")]
      : [onAll("sha256sum", tree, sum, sum), onAll("sha256sum, xargs -P2", tree, sum, "-n256", "-P2", sum)],
    { name: "Node, 1 thread", argv: byModule(plainModule, "1"), isLimit: true },
    { name: "Node, 2 threads", argv: byModule(plainModule, "2"), isLimit: true },
    { name: "hash-wasm", argv: byModule(peerModule, "hash-wasm"), isSlow: true },
    { name: "@noble/hashes", argv: byModule(peerModule, "@noble/hashes"), isSlow: true }
  ]
  const targetOf = ({ isSlow = false, name }: Entrant): number => name === sum ? target : isSlow ? 5 : 0
  return {
    title: algorithm,
    entrants: [commandOf(db, "hash", "--algo", algorithm, tree), ...others],
    pairs: others.map((other) => ["fanout hash", other.name, targetOf(other)]),
    before: () => removeDatabase(db)
  }
}

/** Checks what `b3sum` has written of a tree. */
export const checking = ({ folder }: Place, tree: string): ReadonlyArray<Contest> => {
  if (!isInstalled("b3sum")) return []
  const [db, file] = [path.join(folder, "jobs.db"), path.join(folder, "sums")]
  spawnSync("sh", ["-c", `find "$0" -type f -print0 | xargs -0 b3sum > "$1"`, tree, file])
  return [{
    title: "checked",
    entrants: [
      commandOf(db, "hash", "--check", file),
      { name: "b3sum --check", argv: ["b3sum", "--quiet", "--check", file] }
    ],
    pairs: [["fanout hash", "b3sum --check", 0]],
    before: () => removeDatabase(db)
  }]
}
