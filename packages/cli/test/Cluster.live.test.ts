import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as crypto from "node:crypto"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { programs } from "../../core/test/postgresProcess.ts"
import { PostgresDatabase } from "../../core/test/postgresServer.ts"
import { commandLine, runCommand, until, watched } from "./command.ts"

const home = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-cluster-"))
afterAll(() => fs.rmSync(home, { recursive: true, force: true }))

const freePort = async (): Promise<number> => {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === "object" && address !== null ? address.port : 0
}

/** 2,000 small files in 20 folders, and large ones that take some seconds to hash. */
const makeFiles = (folder: string): void => {
  for (let n = 0; n < 2000; n++) {
    const at = path.join(folder, `folder ${n % 20}`)
    fs.mkdirSync(at, { recursive: true })
    fs.writeFileSync(path.join(at, `file-${n}`), crypto.createHash("sha256").update(String(n)).digest("hex").repeat(8))
  }
  fs.mkdirSync(path.join(folder, "large"))
  for (let n = 0; n < 8; n++) {
    const file = path.join(folder, "large", `large-${n}`)
    fs.writeFileSync(file, String(n))
    fs.truncateSync(file, 3 * 2 ** 25 + n)
  }
}

describe.skipIf(programs === undefined)("fanout jobs work --cluster", () => {
  let database: PostgresDatabase
  let ports: ReadonlyArray<number> = []
  const children = new Set<ChildProcess>()
  afterEach(() => {
    for (const child of children) child.kill("SIGKILL")
    children.clear()
  })
  const shared = path.join(home, "shared")
  beforeAll(async () => {
    database = await PostgresDatabase.open()
    ports = [await freePort(), await freePort(), await freePort()]
    fs.mkdirSync(shared)
    fs.writeFileSync(path.join(home, "secret"), crypto.randomBytes(32).toString("base64"))
  })

  /** A database of its own, and three processes of a cluster. */
  const cluster = async () => {
    const env = {
      ...process.env,
      FANOUT_DB: database.addressOf(await Effect.runPromise(database.schema)),
      FANOUT_CLUSTER_SECRET_FILE: path.join(home, "secret"),
      FANOUT_SHARED: shared,
      XDG_STATE_HOME: path.join(home, "state")
    }
    const run = (...args: ReadonlyArray<string>) => runCommand(args, { env, folder: home })
    const work = (port: number, ...more: ReadonlyArray<string>) => {
      const args = ["jobs", "work", "--cluster", `127.0.0.1:${port}`, ...more]
      const child = spawn(...commandLine(args), { env, stdio: ["ignore", "pipe", "pipe"] })
      children.add(child)
      return watched(child)
    }
    const workers = ports.map((port) => ({ port, ...work(port) }))
    const wellWorkers = () => run("doctor", "--cluster").stdout.match(/^ok +worker .*answered in \d+ ms$/gm)?.length
    await until(() => wellWorkers() === 3)
    return { run, workers, wellWorkers, work }
  }
  type Cluster = Awaited<ReturnType<typeof cluster>>

  let schedules = 0

  /** Queues what a command does, and gives the id of its job once that has a state. */
  const queue = async ({ run }: Cluster, wanted: RegExp, ...command: ReadonlyArray<string>) => {
    const name = `s${++schedules}`
    const added = run("schedule", "add", name, "--cron", "@yearly", "--", ...command)
    assert.deepStrictEqual([added.status, added.stderr], [0, ""])
    assert.strictEqual(run("schedule", "run", name).status, 0)
    const job = () => run("jobs", "list").stdout.split("\n").find((line) => wanted.test(line))
    await until(() => job() !== undefined)
    return /^\w+/.exec(job() ?? "")?.[0] ?? ""
  }

  const stop = async ({ workers }: Cluster) => {
    for (const { child } of workers) child.kill("SIGTERM")
    return Promise.all(workers.map(({ ended }) => ended))
  }

  /** Addresses of workers that have tasks in hand, as the owner of a job tells it. */
  const busyIn = (text: string): ReadonlySet<string> =>
    new Set(Array.from(text.matchAll(/Worker (\S+): [1-9]\d* tasks? in hand/g), ([, address = ""]) => address))

  it("has all processes work on a job, and loses nothing when one is killed", async () => {
    const [from, to] = [path.join(shared, "from"), path.join(shared, "to")]
    makeFiles(from)
    const at = await cluster()
    await queue(at, /^\w+ +done .* copy from → /, "copy", "-T", from, to)
    await queue(at, /^\w+ +done .* verify from with /, "verify", from, to)

    const sums = path.join(shared, "sums")
    await queue(at, /└ hash to$/, "hash", to, "--algo", "sha3-512", "--output", sums)
    const ownerOf = () => at.workers.find(({ output }) => busyIn(output.stderr).size === 3)
    await until(() => {
      for (const { child } of at.workers) child.kill("SIGUSR1")
      return ownerOf() !== undefined
    })
    const owner = ownerOf()
    const victim = at.workers.find((worker) => worker !== owner)
    victim?.child.kill("SIGKILL")
    // After a while, it is forgotten.
    const dead = new RegExp(`^- +worker .*127.0.0.1:${victim?.port}: can't be reached: connect ECONNREFUSED`, "m")
    await until(() => dead.test(at.run("doctor", "--cluster").stdout))
    await until(() => /^\w+ +done .*└ hash to$/m.test(at.run("jobs", "list").stdout))
    assert.match(owner?.output.stderr ?? "", new RegExp(`Worker 127.0.0.1:${victim?.port} is lost with \\d+ tasks`))
    const codes = (await stop(at)).map(({ code }) => code)
    assert.sameMembers(codes, [143, 143, null])

    const alone = spawnSync(...commandLine(["hash", to, "--algo", "sha3-512", "--quiet"]), {
      env: { ...process.env, XDG_STATE_HOME: path.join(home, "alone") },
      cwd: home,
      encoding: "utf8",
      maxBuffer: 2 ** 26
    })
    const sorted = (text: string) => text.trim().split("\n").toSorted()
    assert.lengthOf(sorted(alone.stdout), 2008)
    assert.deepStrictEqual(sorted(fs.readFileSync(sums, "utf8")), sorted(alone.stdout))
    assert.strictEqual(spawnSync("diff", ["-r", from, to]).status, 0)
  })

  it("shows to any process which workers there are", async () => {
    const at = await cluster()
    const from = path.join(shared, "slow")
    fs.mkdirSync(from)
    for (let n = 0; n < 100; n++) fs.writeFileSync(path.join(from, `file ${n}`), Buffer.alloc(50_000, n))
    const command = ["copy", from, path.join(shared, "slow to"), "--bandwidth", "50KB"]
    const id = await queue(at, /^\w+ +running .* copy slow → /, ...command)
    let shown = ""
    await until(() => {
      shown = at.run("jobs", "processes").stdout
      return ports.every((port) => shown.includes(` 127.0.0.1:${port}: answered in `))
    })
    assert.match(shown, new RegExp(`^jobs .*${id}`, "m"))
    assert.match(shown, /^workers +\d+ +\d+\/s +\d+ +(?:just now|\ds ago) +127/m)
    at.workers[2]?.child.kill("SIGKILL")
    const gone = `127.0.0.1:${ports[2]}: can't be reached: connect ECONNREFUSED`
    const isShown = () => [["processes"], ["show", id]].every((args) => at.run("jobs", ...args).stdout.includes(gone))
    await until(() => at.workers[2]?.child.signalCode !== null && isShown())
    assert.strictEqual(at.run("jobs", "cancel", id).status, 0)
    await stop(at)
  })

  it(
    "leaves a job to a process that has its files, or pauses it, and says what to do",
    async () => {
      const at = await cluster()
      const own = path.join(home, "own")
      fs.mkdirSync(own)
      fs.writeFileSync(path.join(own, "file"), "mine")
      const id = await queue(at, /^\w+ +paused: storage .* copy own → /, "copy", own, path.join(shared, "copy"))
      const { stdout } = at.run("jobs", "logs", id)
      assert.lengthOf(stdout.match(/Process \S+ leaves it to others: "/g) ?? [], 3)
      assert.include(stdout, `Paused by storage, since no process takes it: "${own}" is on `)
      assert.include(stdout, `which other machines may not see. A cluster runs jobs on shared files only`)
      const sentence = `Job ${id} (copy) is paused, since no process takes it: "${own}" is on`
      await until(() => at.workers.some(({ output }) => output.stderr.includes(sentence)))
      assert.isFalse(fs.existsSync(path.join(shared, "copy")))
      const another = at.work(await freePort(), "--shared", shared, "--shared", own)
      await queue(at, /^\w+ +done .* copy own → .*other/, "copy", own, path.join(shared, "other"))
      assert.strictEqual(fs.readFileSync(path.join(shared, "other", "file"), "utf8"), "mine")
      another.child.kill("SIGTERM")
      await another.ended
      await stop(at)
      // Where the files are, it runs.
      assert.strictEqual(at.run("jobs", "resume", id).status, 0)
      assert.strictEqual(fs.readFileSync(path.join(shared, "copy", "file"), "utf8"), "mine")
    }
  )

  it("says what is wrong with a port", async () => {
    const at = await cluster()
    const second = await at.work(ports[0] ?? 0).ended
    assert.strictEqual(second.code, 2)
    assert.match(second.stderr, /^Port \d+ can't be listened on \(listen EADDRINUSE.*Name another one: --cluster /)
    await stop(at)
  })
})
