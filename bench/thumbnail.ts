// Makes thumbnails of photographs of 12 and 24 million pixels that it makes itself, in the three sizes that are the
// default, beside `vipsthumbnail` by `xargs` on all cores, which is run once for each size.
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import sharp from "sharp"
import { readAll } from "./internal/trees.ts"
import { byTurns, type Command, fanout, isInstalled, print, withFolder } from "./measure.ts"

const rounds = 3
const photographs = 12
const cores = os.availableParallelism()

/** Something with the detail of a photograph: shapes of all scales, and the noise of a sensor over it. */
const makePhotographs = async (folder: string, width: number, height: number): Promise<void> => {
  fs.mkdirSync(folder)
  const noise = (width: number, height: number, sigma: number) =>
    sharp({
      create: { width, height, channels: 3, background: "#808080", noise: { type: "gaussian", mean: 128, sigma } }
    })
  const layers = await Promise.all([8, 32, 128].map(async (scale) => ({
    input: await sharp(await noise(Math.ceil(width / scale), Math.ceil(height / scale), 60).png().toBuffer())
      .resize(width, height, { kernel: "cubic", fit: "fill" }).png().toBuffer(),
    blend: "overlay" as const
  })))
  const scene = await noise(width, height, 6).composite(layers).raw().toBuffer({ resolveWithObject: true })
  const { channels } = scene.info
  for (let n = 0; n < photographs; n++) {
    const file = path.join(folder, `${n}.jpg`)
    await sharp(scene.data, { raw: { width, height, channels } }).modulate({ hue: n * 15 }).jpeg({ quality: 90 })
      .withMetadata({ orientation: 1 }).toFile(file)
  }
}

const sizes = [[256, 85], [512, 85], [1024, 90]] as const

const peer = (photographs: string, output: string, threads: number): Command => {
  const runs = sizes.map(([side, quality]) => {
    const target = `${output}/%s-${side}.webp[Q=${quality},strip]`
    return `find '${photographs}' -name '*.jpg' -print0 | ` +
      `xargs -0 -n3 -P${cores} vipsthumbnail --size '${side}x${side}>' -o '${target}'`
  })
  const name = `xargs -P${cores}, ${threads} threads`
  return { name, argv: ["sh", "-ec", `export VIPS_CONCURRENCY=${threads}; ${runs.join("; ")}`] }
}

await withFolder(async (folder) => {
  for (const [width, height] of [[4000, 3000], [6000, 4000]] as const) {
    const source = path.join(folder, `${width}x${height}`)
    const output = path.join(folder, "out")
    const db = path.join(folder, "jobs.db")
    await makePhotographs(source, width, height)
    readAll(source)
    const bytes = fs.readdirSync(source).reduce((sum, name) => sum + fs.statSync(path.join(source, name)).size, 0)
    const mebibytes = (bytes / 2 ** 20 / photographs).toFixed(1)
    console.log(`\n${photographs} photographs of ${width} x ${height}, ${mebibytes} MiB each`)
    const own: Command = {
      name: "fanout thumbnail",
      argv: [process.execPath, fanout, "thumbnail", "--quiet", "--db", db, source, "--output", output]
    }
    const peers = isInstalled("vipsthumbnail") ? [1, cores].map((threads) => peer(source, output, threads)) : []
    print(byTurns(rounds, [own, ...peers], () => {
      fs.rmSync(output, { recursive: true, force: true })
      fs.mkdirSync(output)
    }))
  }
})
