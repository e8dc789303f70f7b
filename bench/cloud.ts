// What the command does with a real service, beside rclone and aws: `npm run bench -- cloud [ROW …] [SCALE]`, all rows
// where none is named; a number is how many times as much there is. It starts a gateway of Ceph, which keeps objects in
// memory. Files are on the file system of `TMPDIR`. The row `again` waits until these are five minutes old. Needs Ceph,
// as tests with it do, and `/usr/bin/time`.
import * as Clouds from "@fanout/ops/clouds"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as path from "node:path"
import { setTimeout } from "node:timers/promises"
import { ceph } from "../packages/ops/test/cephServer.ts"
import { FaultyS3 } from "../packages/ops/test/faultyS3.ts"
import { layerOf, type S3Endpoint } from "../packages/ops/test/s3Endpoint.ts"
import * as ManyKeys from "./internal/manyKeys.ts"
import { checkCopy, type Keeps } from "./internal/sameTree.ts"
import { makeLarge, makeTree, noise } from "./internal/trees.ts"
import {
  type Command,
  fanout,
  isInstalled,
  median,
  removeDatabase,
  type Usage,
  usageOf,
  withFolder
} from "./measure.ts"

const rounds = 3
const targets = { up: 1.2, down: 1, processor: 1, mib: 250, requests: 12 }

const args = process.argv.slice(2)
const scale = Number(args.find((arg) => Number(arg) > 0) ?? 1)
const shape = { folders: Math.ceil(100 * scale), filesInFolder: 100 }
const files = shape.folders * shape.filesInFolder
const largeBytes = Math.ceil(64 * scale) * 2 ** 24
const many = { folders: Math.ceil(1000 * scale), filesInFolder: 1000 }

/** So long takes a request of the row `far`. */
const farMillis = 100

const show = (count: number): string => count.toLocaleString("en")

/** What the rows work with. */
interface World {
  readonly folder: string
  readonly db: string
  readonly tree: string
  readonly madeMillis: number
  readonly service: S3Endpoint
}

/** Files of 0.5 to 8.7 KB, a hundred in each folder, and a large one. */
const plant = (tree: string): void => {
  const content = noise(2 ** 16)
  for (let n = 0; n < files; n++) {
    const folder = path.join(tree, `folder-${Math.floor(n / shape.filesInFolder)}`)
    if (n % shape.filesInFolder === 0) fs.mkdirSync(folder, { recursive: true })
    const start = n * 101 % (2 ** 16 - 9000)
    fs.writeFileSync(path.join(folder, `file-${n}`), content.subarray(start, start + 500 + n * 7919 % 8200))
  }
  makeLarge(path.join(tree, "large"), largeBytes)
}

/** What tells clients of the service. rclone knows it as `bench`. */
const environment = ({ accessKeyId, endpoint, secretAccessKey }: S3Endpoint) => ({
  AWS_ENDPOINT_URL: endpoint,
  AWS_ACCESS_KEY_ID: accessKeyId,
  AWS_SECRET_ACCESS_KEY: secretAccessKey,
  AWS_REGION: "us-east-1",
  // Others fail with authorities for what is plain HTTP.
  AWS_CA_BUNDLE: "",
  RCLONE_CONFIG_BENCH_TYPE: "s3",
  RCLONE_CONFIG_BENCH_PROVIDER: "Ceph",
  RCLONE_CONFIG_BENCH_ENDPOINT: endpoint,
  RCLONE_CONFIG_BENCH_ACCESS_KEY_ID: accessKeyId,
  RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY: secretAccessKey
})

const own = (
  { db, service }: Pick<World, "db" | "service">,
  name: string,
  ...rest: ReadonlyArray<string>
): Command => ({
  name: `fanout ${name}`,
  argv: [process.execPath, fanout, name, "--quiet", "--db", db, ...rest],
  env: environment(service)
})

const rclone = ({ service }: Pick<World, "service">, ...rest: ReadonlyArray<string>): Command => ({
  name: "rclone",
  argv: ["rclone", "--transfers", "32", ...rest],
  env: environment(service)
})

const aws = ({ service }: World, ...rest: ReadonlyArray<string>): Command => ({
  name: "aws",
  argv: ["aws", "s3", "cp", "--recursive", "--only-show-errors", ...rest],
  env: environment(service)
})

const use = ({ db }: World, command: Command): Promise<Usage> => {
  removeDatabase(db)
  return usageOf(command)
}

const emptied = ({ service }: World, bucket: string): Promise<void> =>
  Effect.runPromise(Effect.provide(
    Effect.gen(function*() {
      const store = yield* Effect.flatMap(Clouds.ObjectStores, ({ at }) => at({ scheme: "s3", bucket }))
      const keys = Stream.map(store.list(""), ({ key }) => key)
      yield* Stream.runForEachArray(Stream.rechunk(keys, 1000), (some) => store.remove(some))
    }),
    layerOf(service, [bucket])
  ))

const middle = (all: ReadonlyArray<Usage>): Usage => {
  const of = (figure: keyof Usage) => median(all.map((usage) => usage[figure]))
  return { millis: of("millis"), processorMillis: of("processorMillis"), residentMiB: of("residentMiB") }
}

const verdict = (isMet: boolean): string => isMet ? "met" : "missed"

const tell = (name: string, { millis, processorMillis, residentMiB }: Usage): void => {
  const [wall, processor] = [millis, processorMillis].map((millis) => `${(millis / 1000).toFixed(1)} s`)
  console.log(
    `${name.padEnd(16)}${wall?.padStart(8)}${processor?.padStart(10)}${residentMiB.toFixed(0).padStart(7)} MiB`
  )
}

const tellMemory = (residentMiB: number): void =>
  console.log(`${residentMiB.toFixed(0)} MiB (target: ${targets.mib}; ${verdict(residentMiB < targets.mib)})`)

/** Tells what each has taken, and the first beside the second, by rounds. */
const compare = (title: string, results: ReadonlyMap<string, ReadonlyArray<Usage>>, target: number): void => {
  console.log(`${title.padEnd(16)}    wall processor resident`)
  for (const [name, usages] of results) if (usages.length > 0) tell(name, middle(usages))
  const [mine = [], theirs = []] = Array.from(results.values())
  const times = (figure: "millis" | "processorMillis", round: number) =>
    (theirs[round]?.[figure] ?? Number.NaN) / (mine[round]?.[figure] ?? Number.NaN)
  const ratioOf = (figure: "millis" | "processorMillis") => median(mine.map((_, round) => times(figure, round)))
  if (theirs.length > 0) {
    const [speed, processor] = [ratioOf("millis"), 1 / ratioOf("processorMillis")]
    console.log(`× ${speed.toFixed(2)} as fast as rclone (target: ${target}; ${verdict(speed >= target)})`)
    const isMet = processor <= targets.processor
    console.log(`× ${processor.toFixed(2)} of its processor time (target: ${targets.processor}; ${verdict(isMet)})`)
  }
  tellMemory(Math.max(...mine.map(({ residentMiB }) => residentMiB)))
}

/** A way to copy there and back. */
interface Client {
  readonly name: string
  readonly rounds: number
  readonly keeps: Keeps
  readonly up: Command
  readonly down: Command
}

const clientsOf = (world: World, back: string): ReadonlyArray<Client> => {
  const { tree } = world
  const there = "s3://bench/copy"
  const clients: ReadonlyArray<Client> = [
    {
      name: "fanout",
      rounds,
      keeps: "times",
      up: own(world, "copy", tree, there),
      down: own(world, "copy", "-T", there, back)
    },
    {
      name: "rclone",
      rounds,
      keeps: "times",
      up: rclone(world, "copy", tree, "bench:bench/copy"),
      down: rclone(world, "copy", "bench:bench/copy", back)
    },
    { name: "aws", rounds: 1, keeps: "content", up: aws(world, tree, there), down: aws(world, there, back) }
  ]
  return clients.filter(({ name }) => name === "fanout" || isInstalled(name))
}

const copies = async (world: World): Promise<void> => {
  const back = path.join(world.folder, "back")
  const clients = clientsOf(world, back)
  const [up, down] = [new Map<string, Array<Usage>>(), new Map<string, Array<Usage>>()]
  for (const { name } of clients) for (const results of [up, down]) results.set(name, [])
  for (let round = 0; round < rounds; round++) {
    for (const client of clients.filter(({ rounds }) => round < rounds)) {
      await emptied(world, "bench")
      up.get(client.name)?.push(await use(world, client.up))
      down.get(client.name)?.push(await use(world, client.down))
      checkCopy(client.name, world.tree, back, client.keeps)
      fs.rmSync(back, { recursive: true })
    }
  }
  compare("up", up, targets.up)
  compare("down", down, targets.down)
}

/** A file that has changed since five minutes before its object was stored is asked for. */
const settledMillis = 310_000

/** Copies what was copied before, through what counts requests. */
const again = async (world: World): Promise<void> => {
  await setTimeout(Math.max(0, world.madeMillis + settledMillis - Date.now()))
  await emptied(world, "bench")
  await use(world, own(world, "copy", world.tree, "s3://bench/copy"))
  const front = await FaultyS3.start({ behind: world.service })
  const there = { ...world, service: front.service }
  const commands = [own(there, "copy", world.tree, "s3://bench/copy")]
  if (isInstalled("rclone")) commands.push(rclone(there, "copy", world.tree, "bench:bench/copy"))
  for (const command of commands) {
    front.calm()
    const usage = await use(world, command)
    const requests = Array.from(front.counts.values()).reduce((sum, count) => sum + count, 0)
    tell(command.name, usage)
    const isOwn = command.name !== "rclone"
    console.log(
      `${requests} requests${isOwn ? ` (target: ${targets.requests}; ${verdict(requests <= targets.requests)})` : ""}`
    )
    if (isOwn && requests < files / 1000) throw new Error("some requests were not counted")
  }
  await front.stop()
}

/** What lists a million keys: none of it may keep them. */
const million = async (world: World): Promise<void> => {
  const { folder } = world
  const keys = await ManyKeys.serve("copy/", many.folders, many.filesInFolder)
  const there = { ...world, service: { endpoint: keys.endpoint, accessKeyId: "key", secretAccessKey: "secret" } }
  const tree = path.join(folder, "million")
  makeTree(tree, { ...many, sizeBytes: 0 })
  const commands = [
    { title: "unchanged", command: own(there, "copy", tree, "s3://many/copy") },
    { title: "dry run", command: own(there, "copy", "--dry-run", "s3://many/copy", path.join(folder, "none")) },
    { title: "deleted", command: own(there, "delete", "s3://many/copy") }
  ]
  for (const { command, title } of commands) {
    keys.look()
    try {
      tellMemory((await use(world, command).then((usage) => (tell(title, usage), usage))).residentMiB)
      const { removed, requests } = keys.look()
      console.log(`${show(requests)} requests${removed === 0 ? "" : `, ${show(removed)} keys removed`}`)
    } catch (error) {
      console.log(`${title}: ${String(error)}`)
      process.exitCode = 1
    }
  }
  keys.stop()
  fs.rmSync(tree, { recursive: true })
}

/** Compares two folders, whose objects have to be asked for one by one. */
const verified = async (world: World): Promise<void> => {
  const keys = await ManyKeys.serve("copy/", many.folders, many.filesInFolder)
  const there = { ...world, service: { endpoint: keys.endpoint, accessKeyId: "key", secretAccessKey: "secret" } }
  const usage = await use(world, own(there, "verify", "s3://many/copy", "s3://other/copy"))
  tell("verified", usage)
  tellMemory(usage.residentMiB)
  console.log(`${show(keys.look().requests)} requests`)
  keys.stop()
}

/** Lists keys of a service that is far, for which nearly all of the time is spent waiting. */
const far = async (world: World): Promise<void> => {
  const keys = await ManyKeys.serve("copy/", many.folders, many.filesInFolder, farMillis)
  const there = { ...world, service: { endpoint: keys.endpoint, accessKeyId: "key", secretAccessKey: "secret" } }
  const commands = [own(there, "delete", "--dry-run", "s3://many/copy")]
  if (isInstalled("rclone")) {
    commands.push(rclone(there, "lsf", "-R", "--fast-list", "--s3-list-version", "2", "bench:many/copy"))
  }
  const pages = many.folders * many.filesInFolder / 1000
  const took: Array<number> = []
  for (const command of commands) {
    keys.look()
    const usage = await use(world, command)
    took.push(usage.millis)
    tell(command.name, usage)
    const times = pages * farMillis / usage.millis
    if (command === commands[0]) tellMemory(usage.residentMiB)
    console.log(`${show(keys.look().requests)} requests, × ${times.toFixed(1)} as fast as one page after the other`)
  }
  const [mine = Number.NaN, theirs] = took
  if (theirs !== undefined) console.log(`× ${(theirs / mine).toFixed(1)} as fast as rclone`)
  keys.stop()
}

/** A contest with rclone, of commands that need the tree in the bucket before each run. */
const beside = async (
  world: World,
  title: string,
  mine: Command,
  theirs: Command,
  before: () => Promise<unknown>
): Promise<void> => {
  const results = new Map<string, Array<Usage>>([["fanout", []], ["rclone", []]])
  for (let round = 0; round < rounds; round++) {
    for (const [name, command] of [["fanout", mine], ["rclone", theirs]] as const) {
      if (name === "rclone" && !isInstalled(name)) continue
      await before()
      results.get(name)?.push(await use(world, command))
    }
  }
  compare(title, results, 1)
}

const filled = async (world: World): Promise<void> => {
  await emptied(world, "bench")
  await use(world, own(world, "copy", world.tree, "s3://bench/copy"))
}

/** Copies by the service from one bucket to another. */
const buckets = async (world: World): Promise<void> => {
  await filled(world)
  const theirs = rclone(world, "copy", "bench:bench/copy", "bench:other/copy")
  const mine = own(world, "copy", "s3://bench/copy", "s3://other/copy")
  await beside(world, "by the service", mine, theirs, () => emptied(world, "other"))
  await emptied(world, "other")
}

const deletion = (world: World): Promise<void> =>
  beside(
    world,
    "delete",
    own(world, "delete", "s3://bench/copy"),
    rclone(world, "delete", "bench:bench/copy"),
    () => filled(world)
  )

const rows: Readonly<Record<string, readonly [what: string, run: (world: World) => Promise<void>]>> = {
  copies: [`${show(files)} files of 0.5 to 8.7 KB, and one of ${show(largeBytes / 2 ** 20)} MiB`, copies],
  again: ["the same, copied before", again],
  million: [`${show(many.folders * many.filesInFolder)} keys`, million],
  verified: ["as many on each of two sides, which takes some ten minutes", verified],
  far: [`as many keys of a service that takes ${farMillis} ms for a page`, far],
  buckets: ["the same, from one bucket to another", buckets],
  delete: ["the same, deleted", deletion]
}

const chosen = args.filter((arg) => !(Number(arg) > 0))
const unknown = chosen.find((name) => !Object.hasOwn(rows, name))
if (unknown !== undefined) {
  console.error(`${unknown} is none of the rows: ${Object.keys(rows).join(", ")}`)
  process.exitCode = 2
} else {
  const store = await ceph.start()
  await withFolder(async (folder) => {
    const tree = path.join(folder, "tree")
    plant(tree)
    const world = { folder, db: path.join(folder, "jobs.db"), tree, madeMillis: Date.now(), service: store.service }
    for (const [name, [what, run]] of Object.entries(rows)) {
      if (chosen.length > 0 && !chosen.includes(name)) continue
      console.log(`\n${name}: ${what}`)
      try {
        await run(world)
      } catch (error) {
        console.log(String(error))
        process.exitCode = 1
      }
    }
  }).finally(() => store.stop())
}
