// Rows of `copy` in which something is copied: beside others who copy, and with options beside a copy without.
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { type Command, fanout, removeDatabase, type Result, timeOf, toResult } from "../measure.ts"
import type { Contest, Entrant, Pair } from "./contest.ts"
import { limit } from "./limit.ts"
import type { Place } from "./newFileSystem.ts"
import { checkCopy, type Keeps } from "./sameTree.ts"
import { sync } from "./trees.ts"

/** Who copies, and what a copy has to be like. */
interface Copier extends Pick<Entrant, "needs" | "isSlow" | "isLimit"> {
  readonly keeps: Keeps
  readonly argv: (source: string, copy: string, db: string) => Command["argv"]
}

/** A program that copies from one path to another by a function of a module. */
const script = (module: string, call: string): Copier => ({
  keeps: "content",
  argv: (source, copy) => {
    const code = `import module from ${JSON.stringify(module)}; const [from, to] = process.argv.slice(1); await ${call}`
    return [process.execPath, "--input-type=module", "-e", code, source, copy]
  }
})

const limitBy = (threads: number): Copier => ({
  keeps: "everything",
  argv: (source, copy) => [limit, String(threads), source, copy]
})

const plainCopy = fileURLToPath(new URL("./plainCopy.mjs", import.meta.url))
const plainBy = (threads: number): Copier => ({
  keeps: "everything",
  isLimit: true,
  argv: (source, copy) => [process.execPath, plainCopy, String(threads), source, copy]
})

const durablePeer = fileURLToPath(new URL("./durablePeer.mjs", import.meta.url))

/** The command with options, called by these. */
const withFlags = (keeps: Keeps, ...flags: ReadonlyArray<string>): Copier => ({
  keeps,
  argv: (source, copy, db) => [process.execPath, fanout, "copy", "--quiet", "--db", db, ...flags, "-T", source, copy]
})
const byOption = (option: string, keeps: Keeps = "everything") => ({ [option]: withFlags(keeps, ...option.split(" ")) })

const rsynced = (source: string): string => fs.statSync(source).isDirectory() ? `${source}/` : source

/** None of these is there, so that all is copied, and each of them is asked about all of it. */
const rules = Array.from({ length: 100 }, (_, i) => ["--exclude", i % 2 === 0 ? `*.left-${i}` : `left-${i}/`])

const own = "fanout copy"
const copiers: Readonly<Record<string, Copier>> = {
  [own]: withFlags("everything"),
  "cp -a": { keeps: "everything", argv: (source, copy) => ["cp", "-a", source, copy] },
  "rsync -a": { keeps: "everything", argv: (source, copy) => ["rsync", "-a", rsynced(source), copy] },
  "rsync --fsync, -anc": {
    keeps: "everything",
    needs: "rsync",
    argv: (source, copy) => [
      "sh",
      "-c",
      `rsync -a --fsync "$0" "$1" && test -z "$(rsync -anc --out-format=%n "$0" "$1")"`,
      rsynced(source),
      copy
    ]
  },
  rclone: {
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
    keeps: "content",
    isSlow: true,
    argv: (source, copy) => [process.execPath, durablePeer, source, copy]
  },
  ...byOption("--verify"),
  ...byOption("--durable"),
  ...byOption("--durable --verify"),
  ...byOption("--preserve all"),
  ...byOption("-L", "targets"),
  ...byOption("--conflict overwrite"),
  ...byOption("--conflict skip"),
  ...byOption("--conflict rename"),
  ...byOption("--conflict error"),
  "--exclude, 100 rules": withFlags("everything", ...rules.flat()),
  "--checksums": {
    keeps: "everything",
    argv: (source, copy, db) =>
      withFlags("everything", "--checksums", path.join(path.dirname(copy), "sums")).argv(source, copy, db)
  }
}

export interface Work {
  readonly source: string
  readonly pairs: ReadonlyArray<Pair>
  readonly isCold?: boolean
  /** All of it was copied before. */
  readonly isAgain?: boolean
  /** What it takes to copy an empty file is taken off. */
  readonly isWithoutStart?: boolean
}

/** How many times as fast as each of these it should be. */
export const besideOthers = (targets: Readonly<Record<string, number>>): ReadonlyArray<Pair> =>
  Object.entries(targets).map(([name, target]) => [own, name, target])

/** What part of its speed a copy should have with each of these options. */
export const besidePlain = (target: number, ...options: ReadonlyArray<string>): ReadonlyArray<Pair> =>
  options.map((option) => [option, own, target])

/** Takes off each result what the same command needs for an empty file. */
const withoutStarts = (all: ReadonlyArray<Result>): ReadonlyArray<Result> => {
  const starts = all.slice(all.length / 2)
  return all.slice(0, all.length / 2).map(({ name, times }, index) =>
    toResult(name, times.map((millis) => millis - (starts[index]?.millis ?? 0)))
  )
}

const entrantsOf = (pairs: ReadonlyArray<Pair>, source: string, copy: string, db: string): ReadonlyArray<Entrant> => {
  const named = new Set(pairs.flatMap(([name, peer]) => [name, peer]))
  const toEntrant = (name: string, { argv, keeps, ...rest }: Copier): Entrant => ({
    ...rest,
    name,
    argv: argv(source, copy, db),
    after: () => checkCopy(name, source, copy, keeps)
  })
  return Object.entries(copiers).flatMap(([name, copier]) => named.has(name) ? [toEntrant(name, copier)] : [])
}

/** Empties the page cache but for the programs: they are run once more, for a folder with nothing in it. */
const emptyCache = (outside: string, pairs: ReadonlyArray<Pair>): void => {
  const [nothing, copy] = [path.join(outside, "nothing"), path.join(outside, "copy")]
  fs.mkdirSync(nothing, { recursive: true })
  fs.writeFileSync("/proc/sys/vm/drop_caches", "3")
  for (const run of entrantsOf(pairs, nothing, copy, path.join(outside, "start.db"))) {
    timeOf(run)
    fs.rmSync(copy, { recursive: true })
  }
}

export const copying = ({ folder, outside }: Place, work: Work): Contest => {
  const { isAgain = false, isCold = false, isWithoutStart = false, pairs, source } = work
  const [copy, db] = [path.join(folder, "copy"), path.join(folder, "jobs.db")]
  const entrants = [...entrantsOf(pairs, source, copy, db)]
  if (isWithoutStart) {
    const empty = path.join(folder, "empty")
    fs.mkdirSync(empty)
    fs.writeFileSync(path.join(empty, "file"), "")
    entrants.push(...entrantsOf(pairs, empty, copy, db))
  }
  if (isAgain) entrants.slice(0, 1).forEach(timeOf)
  const before = (): void => {
    if (!isAgain) {
      fs.rmSync(copy, { recursive: true, force: true })
      removeDatabase(db)
    }
    sync(folder)
    if (isCold) emptyCache(outside, pairs)
  }
  return {
    entrants,
    pairs,
    before,
    // Of times that are taken off each other little is left, and that goes up and down with both.
    ...isWithoutStart ? { rounds: 15, adjust: withoutStarts } : {}
  }
}
