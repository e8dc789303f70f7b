import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { setTimeout } from "node:timers/promises"
import {
  assertSame,
  bytes,
  contentsOf,
  freshPlace,
  hasStrace,
  jobsOf,
  meeting,
  run,
  strays,
  whileHeld
} from "./faults.ts"

/** A file that takes long, two that don't, and an older one in the place of each. */
const plant = () => {
  const place = freshPlace()
  for (const root of [place.source, place.target]) fs.mkdirSync(path.join(root, "folder"), { recursive: true })
  fs.writeFileSync(path.join(place.source, "folder/large"), bytes(24 * 2 ** 20, 3))
  fs.writeFileSync(path.join(place.source, "folder/new large"), bytes(24 * 2 ** 20, 4))
  for (const name of ["a", "folder/b"]) {
    fs.writeFileSync(path.join(place.source, name), `text of ${name}`)
    fs.writeFileSync(path.join(place.target, name), "old")
  }
  fs.writeFileSync(path.join(place.target, "folder/large"), "the old large one")
  return { ...place, args: ["copy", "-T", place.source, place.target] }
}

/** Each piece of a large file takes its time. */
const slowly = { calls: ["copy_file_range"], fault: "delay_enter=200ms" }

/** Waits until some pieces of a large file were copied, so that there is something to be left over. */
const untilPartial = async (target: string): Promise<void> => {
  const isPartial = () =>
    strays(target).some((name) => (fs.statSync(path.join(target, name), { throwIfNoEntry: false })?.size ?? 0) > 0)
  while (!isPartial()) await setTimeout(5)
}

/** The large files are what they were. */
const assertOld = (target: string): void => {
  const found = contentsOf(target)
  assert.isFalse(found.has("./folder/new large"))
  assert.strictEqual(fs.readFileSync(path.join(target, "folder/large"), "utf8"), "the old large one")
}

describe.skipIf(!hasStrace)("fanout copy that is stopped in large files (needs strace)", () => {
  it.each([["SIGHUP", 129], ["SIGINT", 130], ["SIGTERM", 143]] as const)(
    "leaves the old ones at %s, and nothing once it was resumed",
    async (signal, expected) => {
      const { args, place, source, target } = plant()
      const { code: status, stderr } = await whileHeld(place, args, slowly, async ({ child }) => {
        await untilPartial(target)
        child.kill(signal)
      })
      assert.strictEqual(status, expected, stderr)
      assertOld(target)
      const [job] = jobsOf(place)
      assert.include(job, { state: "Paused" })

      const resumed = run(place, ["jobs", "resume", String(job?.["id"])])

      assert.strictEqual(resumed.status, 0, resumed.stderr)
      assertSame(source, target)
    }
  )

  it("can be stopped at once by a second Ctrl-C, and goes on", async () => {
    const { args, place, source, target } = plant()
    const long = { ...slowly, fault: "delay_enter=1500ms" }
    const { code: status, stderr } = await whileHeld(place, args, long, async ({ child }) => {
      child.kill("SIGINT")
      await setTimeout(300)
      child.kill("SIGINT")
    })
    assert.strictEqual(status, 130, stderr)
    assertOld(target)

    const again = run(place, args)

    assert.strictEqual(again.status, 0, again.stderr)
    assertSame(source, target)
  })

  it("leaves no part of a file once it is cancelled from elsewhere", async () => {
    const { args, place, target } = plant()
    const { code: status, stderr } = await whileHeld(place, args, { ...slowly, fault: "delay_enter=1s" }, async () => {
      await untilPartial(target)
      const cancelled = run(place, ["jobs", "cancel", String(jobsOf(place)[0]?.["id"])])
      assert.strictEqual(cancelled.status, 0, cancelled.stderr)
    })
    assert.strictEqual(status, 3, stderr)
    assert.include(jobsOf(place)[0], { state: "Cancelled" })
    assertOld(target)
    assert.deepStrictEqual(strays(target), [])
  })

  it("leaves no part of a file once it was killed and is cancelled", async () => {
    const { args, place, target } = plant()
    await whileHeld(place, args, slowly, async ({ child }) => {
      await untilPartial(target)
      child.kill("SIGKILL")
    })
    assert.isNotEmpty(strays(target))

    const cancelled = run(place, ["jobs", "cancel", String(jobsOf(place)[0]?.["id"])])

    assert.strictEqual(cancelled.status, 0, cancelled.stderr)
    assertOld(target)
    assert.deepStrictEqual(strays(target), [])
  })
})

describe.skipIf(!hasStrace)("fanout copy that dies again and again (needs strace)", () => {
  /** Dies in the large file until it is given up, which leaves a part of that. */
  const untilGivenUp = () => {
    const place = freshPlace()
    fs.mkdirSync(place.source)
    fs.writeFileSync(path.join(place.source, "large"), bytes(24 * 2 ** 20, 3))
    fs.writeFileSync(path.join(place.source, "small"), "text")
    const args = ["copy", "--conflict", "rename", "-T", place.source, place.target]
    const dying = meeting({ calls: ["copy_file_range"], fault: "signal=KILL:when=1" })
    let last = run(place.place, args, dying)
    for (let n = 0; n < 9 && last.status !== 3; n++) last = run(place.place, args, dying)
    const [, id = ""] =
      /^Job (\S+) \(copy\) failed: the process that ran it died 5 times in a row/m.exec(last.stderr) ?? []
    assert.match(last.stderr, new RegExp(`Go on with .fanout jobs retry ${id}., or with the same command again`))
    assert.lengthOf(strays(place.target), 1)
    return { ...place, args, id }
  }

  it("knows its own work when the same command goes on", () => {
    const { args, id, place, source, target } = untilGivenUp()

    const again = run(place, args)

    assert.strictEqual(again.status, 0, again.stderr)
    assert.match(
      again.stderr,
      new RegExp(`Going on with job ${id}, which failed: the process that ran it died 5 times`)
    )
    assertSame(source, target)
  })

  it("leaves no part of a file once it is cancelled, and the same command starts anew", () => {
    const { args, id, place, target } = untilGivenUp()

    const cancelled = run(place, ["jobs", "cancel", id])

    assert.strictEqual(cancelled.status, 0, cancelled.stderr)
    assert.match(cancelled.stdout, /is cancelled/)
    assert.deepStrictEqual(strays(target), [])
    const anew = run(place, args)
    assert.notInclude(anew.stderr, "Going on")
    assert.sameMembers(fs.readdirSync(target), ["large", "small", "small (1)"])
  })
})
