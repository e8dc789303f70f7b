/**
 * Names the sizes of thumbnails, as Spacedrive has them.
 */
import * as Arr from "effect/Array"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/**
 * How large a thumbnail is, and how well it is kept.
 *
 * @category models
 */
export interface Size {
  /** Its longest side at most. */
  readonly sidePixels: number
  /** Quality of the encoder, from 1 to 100. */
  readonly quality: number
}

/**
 * Schema for the names of the sizes: what they are for, and for how dense a screen.
 *
 * @category schemas
 */
export const ThumbnailVariant = Schema.Literals(["icon@1x", "icon@2x", "grid@1x", "grid@2x", "detail@1x", "detail@2x"])
export type ThumbnailVariant = typeof ThumbnailVariant.Type

const sizes: Readonly<Record<ThumbnailVariant, Size>> = {
  "icon@1x": { sidePixels: 128, quality: 80 },
  "icon@2x": { sidePixels: 256, quality: 80 },
  "grid@1x": { sidePixels: 256, quality: 85 },
  "grid@2x": { sidePixels: 512, quality: 85 },
  "detail@1x": { sidePixels: 1024, quality: 90 },
  "detail@2x": { sidePixels: 2048, quality: 90 }
}

/**
 * What a name stands for.
 *
 * @category accessors
 */
export const sizeOf = (variant: ThumbnailVariant): Size => sizes[variant]

/**
 * The sizes that are made where nobody says which.
 *
 * @category models
 */
export const defaults: Arr.NonEmptyReadonlyArray<ThumbnailVariant> = ["grid@1x", "grid@2x", "detail@1x"]

/**
 * Reads names with commas between them, and gives them in the order of the sizes; `None` where one of them is none.
 * Without its density a name stands for both.
 *
 * @category constructors
 */
export const parse = (text: string): Option.Option<Arr.NonEmptyReadonlyArray<ThumbnailVariant>> => {
  const names = text.split(",").map((name) => name.trim())
  const isOf = (name: string) => (variant: ThumbnailVariant) => variant === name || variant.split("@")[0] === name
  const variants = ThumbnailVariant.literals.filter((variant) => names.some((name) => isOf(name)(variant)))
  return Arr.isArrayNonEmpty(variants) && names.every((name) => variants.some(isOf(name)))
    ? Option.some(variants)
    : Option.none()
}

/**
 * Schema for what thumbnails are encoded as.
 *
 * @category schemas
 */
export const Format = Schema.Literals(["webp", "avif", "jpeg"])
export type Format = typeof Format.Type
