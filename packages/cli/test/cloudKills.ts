/**
 * A tree that is copied to a bucket, within it, and back by processes that are killed, and what became of all objects.
 */
import * as Clouds from "@fanout/ops/clouds"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Asked, FaultyS3 } from "../../ops/test/faultyS3.ts"
import { layerOf } from "../../ops/test/s3Endpoint.ts"
import { start } from "./cloudCommand.ts"

/** So much of a large file is one part of an upload, and one range of a download. */
const pieceBytes = 5 * 2 ** 20

export interface Tree {
  readonly small: number
  readonly largeBytes: number
}

/** The large file comes first, so that most of the kills meet it. */
export const large = "0-large"

/** Small files of 0.5 to 8.7 KB in folders of a hundred, an empty folder, and a large file. */
export const plant = (root: string, { largeBytes, small }: Tree): void => {
  fs.mkdirSync(path.join(root, "empty"), { recursive: true })
  const content = Buffer.from(Array.from({ length: 2 ** 16 }, (_, n) => `${n * 7919 % 65_537}\n`).join(""))
  for (let n = 0; n < small; n++) {
    const folder = path.join(root, `folder-${Math.floor(n / 100)}`)
    if (n % 100 === 0) fs.mkdirSync(folder)
    const start = n * 101 % (content.length - 9000)
    fs.writeFileSync(path.join(folder, `file-${n}`), content.subarray(start, start + 500 + n * 7919 % 8200))
  }
  const piece = Buffer.alloc(2 ** 22)
  for (let written = 0; written < largeBytes; written += piece.length) {
    // No two pieces are the same.
    content.copy(piece)
    piece.writeUInt32LE(written / piece.length)
    fs.appendFileSync(path.join(root, large), piece.subarray(0, largeBytes - written))
  }
}

/** A job that was given up since its processes have died so often. It goes on when it is asked for again. */
const givenUp = 3

/** Numbers from 0 to 1, which are the same each time. */
const numbers = (seed: number) => {
  let state = seed
  return () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9 | 0
    return (state >>> 8) / 2 ** 24
  }
}

/** What was asked for more often than was needed. */
class Counts {
  /** Requests for a small object as a whole, by keys. */
  readonly small = new Map<string, number>()
  readonly parts = new Set<string>()
  partsSent = 0
  partsAgain = 0
  uploads = 0
  ranges = 0
  requests = 0

  note({ key, method, query }: Asked, status: number): void {
    this.requests++
    if (status >= 300) return
    if (query.has("partNumber")) {
      const part = `${query.get("uploadId")} ${query.get("partNumber")}`
      this.partsSent++
      if (this.parts.has(part)) this.partsAgain++
      this.parts.add(part)
    } else if (method === "POST" && query.has("uploads")) this.uploads++
    else if (key.endsWith(`/${large}`)) this.ranges += method === "GET" && !query.has("uploadId") ? 1 : 0
    else if (key !== "" && method !== "HEAD") this.small.set(key, (this.small.get(key) ?? 0) + 1)
  }

  get smallAgain(): number {
    return Array.from(this.small.values()).reduce((sum, times) => sum + times - 1, 0)
  }
}

export interface Killed {
  readonly kills: number
  readonly runs: number
  readonly seconds: number
  /** Small objects that were copied once more. */
  readonly smallAgain: number
  /** Parts that were sent, and those of them that the store had already. */
  readonly parts: number
  readonly partsAgain: number
  readonly uploads: number
  readonly ranges: number
}

/** Copies until all is there, while so many of the processes are killed, each at a request by chance. */
const survive = async (
  s3: FaultyS3,
  { kills, place, seed, total }: {
    readonly kills: number
    readonly place: string
    readonly seed: number
    readonly total: number
  },
  ...args: ReadonlyArray<string>
): Promise<Killed> => {
  const counts = new Counts()
  const next = numbers(seed)
  let [killed, runs] = [0, 0]
  const begun = performance.now()
  for (let isDone = false; !isDone;) {
    const { child, ended } = start(s3, place, ...args)
    // Most kills come before all is done, and each may come between two requests.
    const [at, delayMillis] = [Math.floor(next() * 1.6 * total / kills), next() * 20]
    let requests = 0
    // oxlint-disable-next-line no-restricted-globals -- a kill between two requests is what is tried
    const kill = () => setTimeout(() => void (child.kill("SIGKILL") && killed++), delayMillis)
    runs++
    s3.done = (asked, status) => counts.note(asked, status)
    s3.plan = () => {
      if (killed < kills && requests++ === at) kill()
      return undefined
    }
    const { code, stderr, stdout } = await ended
    isDone = code === 0
    if (code !== null && code !== 0 && code !== givenUp) {
      throw new Error(`The copy ended with ${code}: ${stdout}${stderr}`)
    }
    if (runs > 3 * kills + 3) throw new Error(`The copy does not end: ${stdout}${stderr}`)
  }
  s3.calm()
  const { parts: _, partsAgain, partsSent: parts, ranges, smallAgain, uploads } = counts
  const seconds = (performance.now() - begun) / 1000
  return { kills: killed, runs, seconds, smallAgain, parts, partsAgain, uploads, ranges }
}

/** Keys of a bucket, and of the uploads that are open in it. */
export const thereIn = ({ service }: FaultyS3, bucket: string) =>
  Effect.runPromise(Effect.provide(
    Effect.gen(function*() {
      const store = yield* Effect.flatMap(Clouds.ObjectStores, ({ at }) => at({ scheme: "s3", bucket }))
      const keys = Stream.map(store.list(""), ({ key }) => key)
      const open = Stream.map(store.uploads.open(""), ({ key }) => key)
      return { keys: yield* Stream.runCollect(keys), open: yield* Stream.runCollect(open) }
    }),
    layerOf(service, [])
  ))

/** The first lines of what `diff -r` finds, and the first file that has another mode or time. */
export const differences = (tree: string, copy: string): string => {
  const { stderr, stdout } = childProcess.spawnSync("diff", ["-r", tree, copy], { encoding: "utf8" })
  const names = fs.readdirSync(tree, { recursive: true, encoding: "utf8" })
  const other = names.find((name) => {
    const [own, copied] = [tree, copy].map((root) => fs.lstatSync(path.join(root, name), { throwIfNoEntry: false }))
    return own?.isFile() === true && (own.mode !== copied?.mode || own.mtimeMs !== copied.mtimeMs)
  })
  return (stdout + stderr).slice(0, 2000) + (other === undefined ? "" : `${other} has another mode or time`)
}

/** Keys that a tree has in a bucket. */
const keysOf = (tree: string, prefix: string): ReadonlyArray<string> =>
  fs.readdirSync(tree, { recursive: true, withFileTypes: true }).flatMap((entry) => {
    const key = `${prefix}/${path.relative(tree, path.join(entry.parentPath, entry.name))}`
    return entry.isFile() ? [key] : entry.name === "empty" ? [`${key}/`] : []
  })

/** What a tree that was copied there, to another prefix, and back by killed processes has come to. */
export interface Ends {
  readonly up: Killed
  readonly between: Killed
  readonly down: Killed
  /** Keys that are missing or strange, uploads that are open, and what is not the same. All are to be empty. */
  readonly wrongKeys: ReadonlyArray<string>
  readonly open: ReadonlyArray<string>
  readonly different: string
}

/** Copies a tree to a bucket, from there to another prefix, and back, and kills the copies again and again. */
export const surviveKills = async (
  s3: FaultyS3,
  bucket: string,
  { kills, place, seed = 1, tree }: {
    readonly kills: number
    readonly place: string
    readonly seed?: number
    readonly tree: Tree
  }
): Promise<Ends> => {
  const [root, back] = [path.join(place, "tree"), path.join(place, "back")]
  plant(root, tree)
  const total = tree.small + Math.ceil(tree.largeBytes / pieceBytes)
  const [first, second] = ["copy", "other"]
  const addressOf = (prefix: string) => `s3://${bucket}/${prefix}`
  const up = await survive(s3, { kills, place, seed, total }, "copy", root, addressOf(first))
  const between = await survive(
    s3,
    { kills, place, seed: seed + 2, total: tree.small },
    "copy",
    addressOf(first),
    addressOf(second)
  )
  const { keys, open } = await thereIn(s3, bucket)
  const down = await survive(s3, { kills, place, seed: seed + 1, total }, "copy", "-T", addressOf(second), back)
  const [expected, found] = [new Set([...keysOf(root, first), ...keysOf(root, second)]), new Set(keys)]
  const wrongKeys = [...expected, ...found].filter((key) => !expected.has(key) || !found.has(key))
  return { up, between, down, wrongKeys, open, different: differences(root, back) }
}
