import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { setTimeout } from "node:timers/promises"
import { isLong } from "../../../test/effort.ts"
import { rows } from "../../../test/rows.ts"
import { FaultyS3 } from "../../ops/test/faultyS3.ts"
import { command, watched } from "./command.ts"
import { bytes, contentsOf, env, freshPlace, hasStrace, meeting, strays } from "./faults.ts"
import { oldCommand } from "./oldCommand.ts"

/** Work in the middle of which an earlier version is stopped, and which the present one ends. */
interface Work {
  readonly name: string
  /** Makes what the command is given, in the folder that it runs in. */
  readonly plant: (place: string) => void | Promise<unknown>
  readonly args: ReadonlyArray<string>
  /** A call for each file or piece, and how many microseconds longer it takes; requests take so long without one. */
  readonly slow: readonly [call: string | undefined, micros: number]
}

let s3: FaultyS3
const others: Array<string> = []

beforeAll(async () => {
  s3 = await FaultyS3.start()
})
afterAll(async () => {
  await s3.stop()
  for (const other of others) fs.rmSync(other, { recursive: true })
})

const start = (place: string, argv: ReadonlyArray<string>) => {
  const [program = "", ...args] = argv
  const variables = {
    ...env(place),
    AWS_ENDPOINT_URL: s3.service.endpoint,
    AWS_ACCESS_KEY_ID: s3.service.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3.service.secretAccessKey,
    AWS_REGION: "us-east-1"
  }
  return watched(spawn(program, args, { env: variables, cwd: place, stdio: ["ignore", "pipe", "pipe"] }))
}

const run = (place: string, args: ReadonlyArray<string>) => start(place, [...command, ...args]).ended

// --- What is done ---------------------------------------------------------------------------------------------------

const plantFiles = (place: string, folders: number, files: number): void => {
  for (let i = 0; i < folders; i++) {
    const folder = path.join(place, "source", `folder-${i}`)
    fs.mkdirSync(folder, { recursive: true })
    for (let j = 0; j < files; j++) fs.writeFileSync(path.join(folder, `file-${j}`), `file ${j} of ${i}\n`.repeat(20))
    fs.symlinkSync("file-0", path.join(folder, "link"))
  }
}

const plantSmall = (place: string): void => plantFiles(place, 8, 120)

const plantLarge = (place: string): void => {
  plantFiles(place, 2, 3)
  fs.writeFileSync(path.join(place, "source/large"), bytes(48 * 2 ** 20, 1))
}

const plantTwice = (place: string): void => {
  plantSmall(place)
  fs.cpSync(path.join(place, "source"), path.join(place, "copy"), { recursive: true, verbatimSymlinks: true })
  for (const name of ["folder-1/file-3", "folder-7/file-9"]) fs.writeFileSync(path.join(place, "copy", name), "other")
}

const plantSums = async (place: string): Promise<void> => {
  plantSmall(place)
  await run(place, ["hash", "source", "-o", "sums"])
  fs.writeFileSync(path.join(place, "source/folder-5/file-7"), "other")
}

const plantObjects = async (place: string): Promise<void> => {
  plantLarge(place)
  await run(place, ["copy", "-T", "source", bucketOf(place)])
}

/** A folder on another file system. */
const other = "other"

/** The address of a bucket that belongs to a place. */
const bucketOf = (place: string): string => `s3://${path.basename(place).toLowerCase()}`

const works: ReadonlyArray<Work> = [
  {
    name: "a copy of small files",
    plant: plantSmall,
    args: ["copy", "-T", "source", "copy"],
    slow: ["utimensat", 3000]
  },
  {
    name: "a durable, verified copy with checksums",
    plant: plantSmall,
    args: ["copy", "--durable", "--verify", "--checksums", "sums", "-T", "source", "copy"],
    slow: ["utimensat", 3000]
  },
  {
    name: "a copy of a large file",
    plant: plantLarge,
    args: ["copy", "-T", "source", "copy"],
    slow: ["copy_file_range", 300_000]
  },
  { name: "a deletion", plant: plantSmall, args: ["delete", "source"], slow: ["unlinkat", 3000] },
  { name: "a move", plant: plantSmall, args: ["move", "-T", "source", `${other}/moved`], slow: ["unlinkat", 3000] },
  {
    name: "a move of a large file",
    plant: plantLarge,
    args: ["move", "-T", "source", `${other}/moved`],
    slow: ["copy_file_range", 300_000]
  },
  { name: "hashes", plant: plantSmall, args: ["hash", "source", "-o", "sums"], slow: ["openat", 2000] },
  { name: "a check by checksums", plant: plantSums, args: ["hash", "--check", "sums"], slow: ["openat", 2000] },
  {
    name: "a verification",
    plant: plantTwice,
    args: ["verify", "--ignore", "times", "source", "copy"],
    slow: ["openat", 2000]
  },
  { name: "an upload", plant: plantLarge, args: ["copy", "-T", "source", "BUCKET"], slow: [undefined, 100_000] },
  { name: "a download", plant: plantObjects, args: ["copy", "-T", "BUCKET", "copy"], slow: [undefined, 100_000] }
]

// --- How it is stopped ----------------------------------------------------------------------------------------------

/** A checkpoint of a fan-out, as it is stored. */
interface Stored {
  readonly finished: boolean
  readonly tally: { readonly done: number }
  readonly entries: ReadonlyArray<unknown>
}

const hasBegun = ({ entries, finished, tally }: Stored): boolean => !finished && (tally.done > 0 || entries.length > 0)

/** What a command is given in a place. */
const argsIn = (place: string, { args }: Work): ReadonlyArray<string> =>
  args.map((arg) => arg === "BUCKET" ? bucketOf(place) : arg)

/** Starts the work with the earlier version, and stops it once the store has some of it, but not all. */
const stopOld = async (place: string, work: Work, signal: NodeJS.Signals): Promise<void> => {
  const [call, micros] = work.slow
  const slowly = call === undefined
    ? []
    : meeting({ calls: [call], fault: `delay_exit=${micros}`, isApart: true })
  if (call === undefined) s3.plan = () => ({ _tag: "Delay", millis: micros / 1000 })
  const { child, ended } = start(place, [...slowly, ...oldCommand, ...argsIn(place, work)])
  const stored = () => rows(path.join(place, "state/jobs.db"), "select checkpoint from fanout_checkpoints")
  while (child.exitCode === null && !stored().some(({ checkpoint }) => hasBegun(JSON.parse(String(checkpoint))))) {
    await setTimeout(5)
  }
  child.kill(signal)
  const { code, stderr } = await ended
  assert.strictEqual(code, signal === "SIGKILL" ? null : 130, stderr)
}

/** A place with what the work is given. */
const planted = async ({ plant }: Work): Promise<string> => {
  const { place } = freshPlace()
  const folder = fs.mkdtempSync("/dev/shm/fanout-old-")
  others.push(folder)
  fs.symlinkSync(folder, path.join(place, other))
  s3.buckets.set(bucketOf(place).slice("s3://".length), new Map())
  await plant(place)
  return place
}

/** What is in a place: files and objects, and what was told of them. */
const outcomeIn = (place: string, stdout: string) => {
  const sorted = (text: string) => text.replaceAll(place, "").split("\n").toSorted((a, b) => a < b ? -1 : 1)
  const sums = path.join(place, "sums")
  return {
    ...Object.fromEntries(
      ["source", "copy", `${other}/moved`].map((name) => [name, Object.fromEntries(contentsOf(path.join(place, name)))])
    ),
    sums: fs.existsSync(sums) ? sorted(fs.readFileSync(sums, "utf8")) : [],
    objects: Object.fromEntries(
      Array.from(
        s3.buckets.get(bucketOf(place).slice("s3://".length)) ?? [],
        ([key, { bytes, etag }]) => [key, `${bytes.length} ${etag}`] as const
      ).toSorted(([a], [b]) => a < b ? -1 : 1)
    ),
    // Copies and deletions tell their summary, which says for how long they ran.
    told: sorted(stdout).filter((line) => !line.startsWith("Job "))
  }
}

describe.skipIf(!hasStrace)("a job of an earlier version that was stopped", () => {
  const signals = ["SIGKILL", "SIGINT"] as const
  // In a quick run each work is stopped in one of both ways.
  const stops = works.flatMap((work, n) =>
    signals.filter((_, index) => isLong || n % 2 === index).map((signal) => [work.name, signal, work] as const)
  )
  it.each(stops)("is ended by the present one as if nothing had been: %s, %s", async (_, signal, work) => {
    const [whole, stopped] = await Promise.all([planted(work), planted(work)])
    const [first] = await Promise.all([run(whole, argsIn(whole, work)), stopOld(stopped, work, signal)])
    s3.calm()

    const again = await run(stopped, argsIn(stopped, work))

    assert.strictEqual(again.code, first.code, again.stderr)
    assert.deepStrictEqual(outcomeIn(stopped, again.stdout), outcomeIn(whole, first.stdout))
    assert.strictEqual(s3.uploads.size, 0)
    const left = ["source", "copy", `${other}/moved`].flatMap((name) => strays(path.join(stopped, name)))
    assert.deepStrictEqual(left, [])
  })
})
