import { assert, describe, it } from "@effect/vitest"
import * as Node from "@fanout/core/node"
import { Pressure } from "@fanout/core/Pressure"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { onTestFinished } from "vitest"
import { readText } from "../src/internal/node/linux.ts"
import { meter } from "../src/internal/node/memoryPressure.ts"

const stalls = (millis: number): string =>
  `some avg10=0.00 avg60=0.12 avg300=0.90 total=${millis * 1000}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n`

/** A machine whose files and clock a test sets. */
class Machine {
  readonly files: Record<string, string | undefined> = {}
  now = 0
  reads = 0
  readonly measure: () => number

  constructor(files: Record<string, string>) {
    this.files = files
    this.measure = meter((path) => {
      this.reads++
      return this.files[path]
    }, () => this.now)
  }
  after(millis: number, files: Record<string, string> = {}): number {
    this.now += millis
    Object.assign(this.files, files)
    return this.measure()
  }
}

describe("Pressure", () => {
  const group = { "/proc/self/cgroup": "9:name=systemd:/\n0::/jobs/one\n" }

  it.effect("is none unless it is measured", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* yield* Pressure, 0)
    }))

  it.effect("is a share where it is measured", () =>
    Effect.gen(function*() {
      const pressure = yield* yield* Pressure
      assert.isTrue(pressure >= 0 && pressure <= 1)
    }).pipe(Effect.provide(Node.layerPressure)))

  it("is none where the kernel tells nothing", () => {
    const machine = new Machine({})
    assert.strictEqual(machine.after(5000), 0)
    assert.strictEqual(machine.after(5000), 0)
  })

  it("is the share of the last second for which the machine stalled", () => {
    const machine = new Machine({ "/proc/pressure/memory": stalls(700) })
    assert.strictEqual(machine.after(500, { "/proc/pressure/memory": stalls(900) }), 0)
    assert.strictEqual(machine.after(500), 0.2)
    assert.strictEqual(machine.after(900, { "/proc/pressure/memory": stalls(2000) }), 0.2)
    assert.closeTo(machine.after(1300), 0.5, 1e-9)
    assert.strictEqual(machine.after(1000), 0)
    assert.strictEqual(machine.after(1000, { "/proc/pressure/memory": stalls(9000) }), 1)
  })

  it("is that of the control group, where it counts its own", () => {
    const own = "/sys/fs/cgroup/jobs/one/memory.pressure"
    const machine = new Machine({ ...group, [own]: stalls(0), "/proc/pressure/memory": stalls(0) })
    assert.strictEqual(machine.after(1000, { [own]: stalls(300), "/proc/pressure/memory": stalls(900) }), 0.3)
  })

  it("rises in the last tenth of the group's limit, but not by what is kept of files", () => {
    const folder = "/sys/fs/cgroup/jobs/one"
    const machine = new Machine({ ...group, [`${folder}/memory.max`]: "1000\n", [`${folder}/memory.current`]: "990\n" })
    assert.closeTo(machine.after(1000), 0.9, 1e-9)
    const stat = "anon 100\ninactive_file 30\nactive_file 10\nactive_anon 800\n"
    assert.closeTo(machine.after(1000, { [`${folder}/memory.stat`]: stat }), 0.5, 1e-9)
    assert.strictEqual(machine.after(1000, { [`${folder}/memory.current`]: "800\n" }), 0)
    assert.strictEqual(machine.after(1000, { [`${folder}/memory.max`]: "max\n" }), 0)
  })

  it("finds a group whose name is not of ASCII alone", () => {
    const root = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-pressure-"))
    onTestFinished(() => fs.rmSync(root, { recursive: true }))
    const folder = path.join(root, "/sys/fs/cgroup/größte")
    fs.mkdirSync(folder, { recursive: true })
    fs.writeFileSync(path.join(folder, "memory.max"), "1000\n")
    fs.writeFileSync(path.join(folder, "memory.current"), "990\n")
    fs.mkdirSync(path.join(root, "/proc/self"), { recursive: true })
    fs.writeFileSync(path.join(root, "/proc/self/cgroup"), "0::/größte\n")
    let now = 0
    const measure = meter((name) => readText(path.join(root, name)), () => now)
    now = 1000
    assert.closeTo(measure(), 0.9, 1e-9)
  })

  it("reads nothing more than once a second", () => {
    const machine = new Machine(group)
    machine.after(1000)
    const { reads } = machine
    for (let index = 0; index < 99; index++) machine.after(10)
    assert.strictEqual(machine.reads, reads)
  })
})
