import * as Schema from "effect/Schema"

/** How much a device gets done in a millisecond, by how many tasks are under way. */
export type Model = (size: number) => number

const whole = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const share = (most: number) => Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: most }))

/** So many tasks at once as it has depth, and no faster with more, or a little slower. */
const Ssd = Schema.TaggedStruct("ssd", { depth: whole(4, 48), latencyMillis: whole(2, 20), fall: share(0.2) })
/** Gains less by each task more: at `half` it has half of its most. */
const Soft = Schema.TaggedStruct("soft", { half: whole(1, 16), latencyMillis: whole(2, 20) })
/** Best with one to four, and worse with each more, since its head has to move: a fifth is left in the end. */
const Disk = Schema.TaggedStruct("disk", {
  best: whole(1, 4),
  latencyMillis: whole(4, 15),
  fall: Schema.Finite.check(Schema.isBetween({ minimum: 0.2, maximum: 0.7 }))
})
/** As much faster as there are tasks, up to any number. */
const Remote = Schema.TaggedStruct("remote", { latencyMillis: whole(20, 200) })

export const Device = Schema.Union([Ssd, Soft, Disk, Remote])
export type Device = typeof Device.Type

/** What makes throughput waver: how costs of tasks are spread, and for how long the device is faster or slower. */
export const Noise = Schema.Struct({
  spread: share(1),
  jitter: share(0.1),
  jitterMillis: whole(20, 200),
  seed: whole(0, 1_000_000)
})
export type Noise = typeof Noise.Type

export const modelOf = (device: Device): Model => {
  switch (device._tag) {
    case "ssd":
      return (size) =>
        Math.min(size, device.depth) / device.latencyMillis *
        Math.min(1, (device.depth / size) ** device.fall)
    case "soft":
      return (size) => size / (size + device.half) * (device.half + 1) / device.latencyMillis
    case "disk":
      return (size) =>
        Math.sqrt(Math.min(size, device.best)) / device.latencyMillis *
        (0.2 + 0.8 * Math.min(1, (device.best / size) ** device.fall))
    case "remote":
      return (size) => size / device.latencyMillis
  }
}

/** Numbers from 0 to 1 that look random, the same for a seed. (Lehmer's generator, with Park and Miller's numbers.) */
export const randomOf = (seed: number): () => number => {
  let state = seed % 2_147_483_646 + 1
  return () => (state = state * 48_271 % 2_147_483_647) / 2_147_483_647
}

/** A factor with a mean of 1 whose logarithm is spread normally (Box and Muller). */
const wavering = (random: () => number, spread: number): number =>
  Math.exp(spread * Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random()) - spread * spread / 2)

/** The fastest that a device can be with a fixed size. */
export const bestOf = (device: Device, least: number, most: number): number => {
  const model = modelOf(device)
  return Math.max(...Array.from({ length: most - least + 1 }, (_, index) => model(least + index)))
}

/**
 * A device that always has as many tasks under way as it may. They share it evenly: each is done when the share of one
 * task, added up since it began, has come to its cost.
 */
export class Simulation {
  completed = 0
  device: Device
  size: number
  private readonly noise: Noise
  private readonly random: () => number
  /** What the share of one task has come to. */
  private shared = 0
  private now = 0
  private factor = 1
  private steadyUntil = 0
  /** At which share each task under way is done, the next one last. */
  private readonly ends: Array<number> = []

  constructor(device: Device, size: number, noise: Noise) {
    this.device = device
    this.size = size
    this.noise = noise
    this.random = randomOf(noise.seed)
  }

  get inUse(): number {
    return this.ends.length
  }

  advance(until: number): void {
    while (this.now < until) {
      while (this.ends.length < this.size) this.begin(this.shared + wavering(this.random, this.noise.spread))
      if (this.now >= this.steadyUntil) {
        this.factor = wavering(this.random, this.noise.jitter)
        this.steadyUntil = this.now + this.noise.jitterMillis
      }
      const speed = modelOf(this.device)(this.inUse) / this.inUse * this.factor
      const next = this.ends.at(-1) ?? Number.POSITIVE_INFINITY
      const end = this.now + (next - this.shared) / speed
      const stop = Math.min(until, this.steadyUntil)
      if (end <= stop) {
        this.ends.pop()
        this.completed++
        this.shared = next
        this.now = end
      } else {
        this.shared += (stop - this.now) * speed
        this.now = stop
      }
    }
  }

  private begin(end: number): void {
    // Most new ones end late: they go near the front.
    let low = 0
    let high = this.ends.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.ends[middle] ?? 0) > end) low = middle + 1
      else high = middle
    }
    this.ends.splice(low, 0, end)
  }
}
