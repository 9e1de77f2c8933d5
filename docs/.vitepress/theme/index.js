// VitePress's theme with the system's fonts, and the components that pages use: each file of components/ by its name.
import Theme from "vitepress/theme-without-fonts";
import "./style.css";

const components = import.meta.glob("./components/*.vue", { eager: true, import: "default" });

export default {
  extends: Theme,
  enhanceApp({ app }) {
    for (const [file, component] of Object.entries(components)) {
      app.component(/(\w+)\.vue$/.exec(file)[1], component);
    }
  },
};
