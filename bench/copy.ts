// Copies beside others who copy: `npm run bench -- copy [ROW …] [TREE]`, all rows where none is named. What has a slash
// in it is a tree, otherwise `/usr/lib`. Every row has a new ext4 under `TMPDIR` for itself, where root can mount one.
// A run counts only if its copy is as the source.
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { limit } from "./internal/limit.ts"
import * as million from "./internal/million.ts"
import { isRoot, type Place, type Size, withPlace } from "./internal/newFileSystem.ts"
import { difference, type Keeps } from "./internal/sameTree.ts"
import { makeLarge, makeTree, readAll, type Shape, sizeOf } from "./internal/trees.ts"
import {
  byTurns,
  type Command,
  fanout,
  isInstalled,
  ratio,
  removeDatabase,
  type Result,
  timeOf,
  toResult
} from "./measure.ts"

const rounds = 5
const small: Shape = { folders: 200, filesInFolder: 100, sizeBytes: 4096 }

interface Peer {
  readonly program: string
  readonly keeps: Keeps
  readonly argv: (source: string, copy: string) => Command["argv"]
}

/** A program that copies from one path to another by a function of a module. */
const script = (module: string, call: string): Peer => ({
  program: process.execPath,
  keeps: "content",
  argv: (source, copy) => {
    const code = `import module from ${JSON.stringify(module)}; const [from, to] = process.argv.slice(1); await ${call}`
    return [process.execPath, "--input-type=module", "-e", code, source, copy]
  }
})

const limitBy = (threads: number): Peer => ({
  program: limit,
  keeps: "everything",
  argv: (source, copy) => [limit, String(threads), source, copy]
})

const plainCopy = fileURLToPath(new URL("./internal/plainCopy.mjs", import.meta.url))
const plainBy = (threads: number): Peer => ({
  program: process.execPath,
  keeps: "everything",
  argv: (source, copy) => [process.execPath, plainCopy, String(threads), source, copy]
})
const durablePeer = fileURLToPath(new URL("./internal/durablePeer.mjs", import.meta.url))

const peers = {
  "cp -a": { program: "cp", keeps: "everything", argv: (source, copy) => ["cp", "-a", source, copy] },
  "rsync -a": {
    program: "rsync",
    keeps: "everything",
    argv: (source, copy) => ["rsync", "-a", fs.statSync(source).isDirectory() ? `${source}/` : source, copy]
  },
  rclone: {
    program: "rclone",
    keeps: "times",
    argv: (source, copy) => ["rclone", "copy", "--transfers", "16", "--links", "--create-empty-src-dirs", source, copy]
  },
  "fs-extra": script(import.meta.resolve("fs-extra"), "module.copy(from, to)"),
  "fs.cp": script("node:fs/promises", "module.cp(from, to, { recursive: true })"),
  "C, 1 thread": limitBy(1),
  "C, 2 threads": limitBy(2),
  "Node, 1 thread": plainBy(1),
  "Node, 2 threads": plainBy(2),
  "one by one": {
    program: process.execPath,
    keeps: "content",
    argv: (source, copy) => [process.execPath, durablePeer, source, copy]
  }
} satisfies Readonly<Record<string, Peer>>

type PeerName = keyof typeof peers

/** How many times as fast as each peer it should be; 0 is for those that are only measured. */
type Targets = Readonly<Partial<Record<PeerName, number>>>

interface Work extends Partial<Size> {
  readonly what: string
  /** What is copied where nothing is made. */
  readonly tree?: string
  readonly make: (source: string) => void
  readonly targets: Targets
  readonly flags?: ReadonlyArray<string>
  readonly isCold?: boolean
  /** All of it was copied before. */
  readonly isAgain?: boolean
  /** What it takes to copy an empty file is taken off. */
  readonly isWithoutStart?: boolean
}

/** A command, and what its copy has to be like. */
interface Run extends Command {
  readonly source: string
  readonly keeps: Keeps
}

const showRow = (name: string, ...cells: ReadonlyArray<string>): void =>
  console.log(`${name.padEnd(14)}${cells.map((cell) => cell.padStart(15)).join("")}`)

const show = (results: ReadonlyArray<Result>, targets: Targets): void => {
  showRow("", "median", "fanout's speed", "target")
  const [own, ...others] = results
  if (own === undefined) return
  showRow(own.name, `${own.millis.toFixed(0)} ms`)
  for (const [name, target] of Object.entries(targets)) {
    const result = others.find((other) => other.name === name)
    if (result === undefined) showRow(name, "not installed")
    else {
      const times = ratio(result, own)
      const wanted = target === 0 ? [] : [`× ${target}`, times < target ? "missed" : "met"]
      showRow(name, `${result.millis.toFixed(0)} ms`, `× ${times.toFixed(2)}`, ...wanted)
    }
  }
}

/** Takes off each result what the same command needs for an empty file. */
const withoutStarts = (all: ReadonlyArray<Result>): ReadonlyArray<Result> => {
  const starts = all.slice(all.length / 2)
  return all.slice(0, all.length / 2).map(({ name, times }, index) =>
    toResult(name, times.map((millis) => millis - (starts[index]?.millis ?? 0)))
  )
}

/** The command and its peers, as far as they are installed. */
const runsOf = ({ flags = [], targets }: Work, source: string, copy: string, db: string): ReadonlyArray<Run> => {
  const argv = [process.execPath, fanout, "copy", "--quiet", "--db", db, ...flags, "-T", source, copy] as const
  const own: Run = { name: "fanout copy", argv, source, keeps: "everything" }
  const others = Object.entries(peers).flatMap(([name, { argv, keeps, program }]): ReadonlyArray<Run> =>
    Object.hasOwn(targets, name) && isInstalled(program) ? [{ name, argv: argv(source, copy), source, keeps }] : []
  )
  return [own, ...others]
}

/** Empties the page cache but for the programs: they are run once more, for a folder with nothing in it. */
const emptyCache = (outside: string, work: Work): void => {
  const [nothing, copy] = [path.join(outside, "nothing"), path.join(outside, "copy")]
  fs.mkdirSync(nothing, { recursive: true })
  fs.writeFileSync("/proc/sys/vm/drop_caches", "3")
  for (const run of runsOf(work, nothing, copy, path.join(outside, "start.db"))) {
    timeOf(run)
    fs.rmSync(copy, { recursive: true })
  }
}

const compare = ({ folder, outside }: Place, work: Work): void => {
  const { isAgain = false, isCold = false, isWithoutStart = false, make, targets, tree } = work
  const source = tree ?? path.join(folder, "source")
  const copy = path.join(folder, "copy")
  const db = path.join(folder, "jobs.db")
  make(source)
  const runs = [...runsOf(work, source, copy, db)]
  if (isWithoutStart) {
    const empty = path.join(folder, "empty")
    fs.mkdirSync(empty)
    fs.writeFileSync(path.join(empty, "file"), "")
    runs.push(...runsOf(work, empty, copy, db))
  }
  if (isAgain) runs.slice(0, 1).forEach(timeOf)
  // Of times that are taken off each other little is left, and that goes up and down with both.
  const results = byTurns(isWithoutStart ? 3 * rounds : rounds, runs, () => {
    if (!isAgain) {
      fs.rmSync(copy, { recursive: true, force: true })
      removeDatabase(db)
    }
    // What was left to be written is not to slow down the next one.
    spawnSync("sync", ["-f", folder])
    if (isCold) emptyCache(outside, work)
  }, ({ keeps, name, source }) => {
    const found = difference(source, copy, keeps)
    if (found !== undefined) throw new Error(`${name} made a copy that is not as its source: ${found}`)
  })
  show(isWithoutStart ? withoutStarts(results) : results, targets)
}

const worksWith = (tree: string) => {
  const makeSmall = (source: string) => makeTree(source, small)
  const measured = sizeOf(tree)
  return {
    small: {
      what: "20,000 files of 4 KiB in 200 folders",
      make: makeSmall,
      targets: {
        "cp -a": 1.5,
        "rsync -a": 2.3,
        rclone: 3.5,
        "fs-extra": 4,
        "fs.cp": 12,
        "C, 1 thread": 0,
        "C, 2 threads": 0,
        "Node, 2 threads": 0
      }
    },
    many: {
      what: "200,000 files of 4 KiB in 2,000 folders",
      gib: 12,
      make: (source) => makeTree(source, { ...small, folders: 2000 }),
      targets: { "cp -a": 1.7, "C, 1 thread": 0, "C, 2 threads": 0, "Node, 2 threads": 0 }
    },
    cold: {
      what: "20,000 files of 4 KiB in 200 folders, with nothing of them in the page cache",
      make: makeSmall,
      targets: { "cp -a": 2, "rsync -a": 1.1, "C, 2 threads": 0, "Node, 2 threads": 0 },
      isCold: true
    },
    tree: {
      what: `${tree}: ${measured.files} files of ${(measured.bytes / 2 ** 20).toFixed(0)} MiB`,
      gib: Math.max(6, Math.ceil(2 * measured.bytes / 2 ** 30)),
      tree,
      make: readAll,
      targets: {
        "cp -a": 1.2,
        "rsync -a": 1,
        rclone: 1,
        "fs-extra": 1,
        "fs.cp": 1,
        "C, 2 threads": 0,
        "Node, 2 threads": 0
      }
    },
    medium: {
      what: "100 files of 1 MiB, without what it takes to copy an empty file",
      make: (source) => makeTree(source, { folders: 1, filesInFolder: 100, sizeBytes: 2 ** 20 }),
      targets: { "cp -a": 0.9, "C, 1 thread": 0, "Node, 1 thread": 0 },
      isWithoutStart: true
    },
    large: {
      what: "one file of 2 GiB",
      make: (source) => makeLarge(source, 2 ** 31),
      targets: { "cp -a": 0.8, "rsync -a": 0 }
    },
    again: {
      what: "20,000 files of 4 KiB in 200 folders, copied before",
      make: makeSmall,
      targets: { "rsync -a": 1.5 },
      isAgain: true
    },
    durable: {
      what: "2,000 files of 16 KiB in 20 folders, each on the disk before the next is begun or with --durable",
      make: (source) => makeTree(source, { folders: 20, filesInFolder: 100, sizeBytes: 2 ** 14 }),
      targets: { "one by one": 4 },
      flags: ["--durable"]
    }
  } satisfies Readonly<Record<string, Work>>
}

const millions: ReadonlyArray<Shape> = [
  { folders: 1000, filesInFolder: 1000, sizeBytes: 0 },
  { folders: 1, filesInFolder: 1_000_000, sizeBytes: 0 }
]

const measure = async (size: Partial<Size>, use: (place: Place) => void | Promise<void>): Promise<void> =>
  withPlace({ gib: 6, ...size }, (place) => {
    console.log(place.problem === "" ? "on a new ext4" : `on the file system of TMPDIR (no ext4: ${place.problem})`)
    return use(place)
  })

const hasDurable = (): boolean =>
  spawnSync(process.execPath, [fanout, "copy", "--help"], { encoding: "utf8" }).stdout.includes("--durable")

/** Why a row can't be run here, or nothing. */
const obstacle = (name: string): string => {
  if (name === "cold" && !isRoot) return "needs root"
  return name === "durable" && !hasDurable() ? "needs --durable" : ""
}

const args = process.argv.slice(2)
const works: Readonly<Record<string, Work>> = worksWith(args.find((arg) => arg.includes("/")) ?? "/usr/lib")
const names = [...Object.keys(works), "million"]
const chosen = args.filter((arg) => !arg.includes("/"))
const unknown = chosen.find((name) => !names.includes(name))
if (unknown !== undefined) {
  console.error(`${unknown} is none of the rows: ${names.join(", ")}`)
  process.exitCode = 2
} else {
  for (const name of chosen.length === 0 ? names : chosen) {
    const work = works[name]
    const skipped = obstacle(name)
    console.log(`\n${name}: ${work?.what ?? "1,000,000 empty files"}`)
    if (skipped !== "") console.log(`skipped: ${skipped}`)
    else if (work !== undefined) await measure(work, (place) => compare(place, work))
    // Each file has an inode, and so has its copy.
    else for (const shape of millions) await measure({ gib: 12, inodes: 2_200_000 }, (_) => million.measure(_, shape))
  }
}
