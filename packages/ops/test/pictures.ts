import sharp, { type Sharp } from "sharp"

/** A picture with something in one corner, so that one sees how it is turned. No two seeds give the same file. */
export const picture = (width: number, height: number, seed = 0) =>
  sharp({ create: { width, height, channels: 3, background: "#004080" } })
    .withExif({ IFD0: { ImageDescription: String(seed) } })
    .composite([{
      input: { create: { width: width >> 1, height: height >> 1, channels: 3, background: "red" } },
      top: 0,
      left: 0
    }])

/** Frames one below the other, as sharp joins them. */
const frames = Promise.all(
  ["red", "green", "blue"].map((background) =>
    sharp({ create: { width: 600, height: 400, channels: 3, background } }).png().toBuffer()
  )
)

/** Files that are odd in some way, by their names. */
export const oddFiles = async (): Promise<Readonly<Record<string, Uint8Array>>> => {
  const jpeg = await picture(1600, 1200).jpeg().toBuffer()
  const joined = sharp(await frames, { join: { animated: true } })
  return {
    "photo.jpg": jpeg,
    "turned.jpg": await picture(1600, 1200).withMetadata({ orientation: 6 }).jpeg().toBuffer(),
    "small.png": await picture(300, 200).png().toBuffer(),
    "animated.gif": await joined.clone().gif({ delay: [100, 100, 100] }).toBuffer(),
    "pages.tiff": await joined.clone().tiff().toBuffer(),
    "cmyk.jpg": await picture(1600, 1200).toColourspace("cmyk").jpeg().toBuffer(),
    "deep.png": await picture(1600, 1200).toColourspace("rgb16").png().toBuffer(),
    "clear.png": await sharp({ create: { width: 1600, height: 900, channels: 4, background: "#0000" } }).png()
      .toBuffer(),
    "mislabelled.png": jpeg,
    "truncated.jpg": jpeg.subarray(0, jpeg.length / 2),
    "corrupt.png": Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), Buffer.alloc(500, 7)]),
    "huge.svg": Buffer.from("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"30000\" height=\"20000\"/>"),
    "empty.jpg": Buffer.alloc(0),
    "text.jpg": Buffer.from("no picture at all"),
    "notes.txt": Buffer.from("no picture at all"),
    "broken.mp4": Buffer.from("\0\0\0\x20ftypisom\0\0\0\0isomiso2avc1mp41", "latin1"),
    "broken.pdf": Buffer.from("%PDF-1.4\nnothing")
  }
}

/** What is in the quarters of a picture: top left, top right, and below. */
export const quarters = [[200, 30, 30], [30, 160, 30], [30, 30, 200], [240, 240, 240]] as const

const quartered = (width: number, height: number, channels: 3 | 4) => {
  const pixels = Buffer.alloc(width * height * channels, 255)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const quarter = quarters[Number(y >= height / 2) * 2 + Number(x >= width / 2)] ?? []
      pixels.set(quarter, (y * width + x) * channels)
    }
  }
  return sharp(pixels, { raw: { width, height, channels } })
}

/** How a picture of quarters looks. */
export interface Looks {
  /** Which of the quarters are where, once it is upright. */
  readonly order?: ReadonlyArray<number>
  /** Whether it is higher than wide then. */
  readonly isHigh?: boolean
  readonly isGrey?: true
  /** How much a colour may differ by its way into the file. */
  readonly tolerance?: number
}

/** Which quarters are where of what is shown by an orientation, from 1 on. */
const orders = [
  [0, 1, 2, 3],
  [1, 0, 3, 2],
  [3, 2, 1, 0],
  [2, 3, 0, 1],
  [0, 2, 1, 3],
  [2, 0, 3, 1],
  [3, 1, 2, 0],
  [1, 3, 0, 2]
] as const

/** A picture of quarters, 400 x 300 pixels, in each kind and form that files have. */
export const corpus = async (): Promise<ReadonlyArray<readonly [name: string, bytes: Uint8Array, looks: Looks]>> => {
  const rgb = quartered(400, 300, 3)
  const rgba = quartered(400, 300, 4)
  const grey = () => rgb.clone().toColourspace("b-w")
  const deep = () => rgb.clone().toColourspace("rgb16")
  const compressions = ["none", "lzw", "deflate", "packbits", "jpeg"] as const
  const all: ReadonlyArray<readonly [string, Sharp, Looks]> = [
    ["plain.jpg", rgb.clone().jpeg(), {}],
    ["progressive.jpg", rgb.clone().jpeg({ progressive: true }), {}],
    ["full.jpg", rgb.clone().jpeg({ chromaSubsampling: "4:4:4" }), {}],
    ["grey.jpg", grey().jpeg(), { isGrey: true }],
    ["cmyk.jpg", rgb.clone().toColourspace("cmyk").jpeg(), { tolerance: 80 }],
    ["plain.png", rgb.clone().png(), {}],
    ["alpha.png", rgba.clone().png(), {}],
    ["palette.png", rgb.clone().png({ palette: true }), {}],
    ["interlaced.png", rgb.clone().png({ progressive: true }), {}],
    ["deep.png", deep().png(), {}],
    ["grey.png", grey().png(), { isGrey: true }],
    ["plain.webp", rgb.clone().webp(), {}],
    ["lossless.webp", rgba.clone().webp({ lossless: true }), {}],
    ["plain.gif", rgb.clone().gif(), {}],
    ["plain.avif", rgb.clone().avif(), { tolerance: 30 }],
    ["deep.tif", deep().tiff(), {}],
    ["grey.tif", grey().tiff(), { isGrey: true }],
    ["big.tif", rgb.clone().tiff({ bigtiff: true }), {}],
    ["pyramid.tif", rgb.clone().tiff({ tile: true, pyramid: true }), {}],
    ...compressions.flatMap((compression) =>
      [false, true].map((tile) =>
        [`${compression}-${tile ? "tiles" : "strips"}.tif`, rgb.clone().tiff({ compression, tile }), {}] as const
      )
    ),
    ...orders.map((order, index) =>
      [`turned-${index + 1}.jpg`, rgb.clone().withMetadata({ orientation: index + 1 }).jpeg(), {
        order,
        isHigh: index >= 4
      }] as const
    )
  ]
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="400" height="300">${
    quarters.map((colour, at) =>
      `<rect x="${at % 2 * 200}" y="${at >> 1 && 150}" width="200" height="150" fill="rgb(${colour.join()})"/>`
    ).join("")
  }</svg>`
  const made = await Promise.all(
    all.map(async ([name, image, looks]) => [name, await image.toBuffer(), looks] as const)
  )
  return [...made, ["plain.svg", Buffer.from(svg), {}]]
}
